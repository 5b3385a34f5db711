"""What a file may ask for. A spec is input like any other: every limit ends in a clear error.

They are set so that whatever is in a file, reading it ends within seconds and some hundred megabytes.
"""

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Bytes of a file and of all the files it imports, together."""

MAX_FILES = 100
"""Files that one spec may import, all told."""

MAX_TOKENS = 800_000
"""Words, numbers and symbols of one file."""

MAX_DEFINITIONS = 10_000
"""Blocks, nets and functions of one file."""

MAX_PARAMETERS = 100
"""Parameters of a block, net or function."""

MAX_MISTAKES = 100
"""Places of one file whose text does not parse; the rest is not read."""

MAX_REREAD = 1024 * 1024
"""Characters of one file that are read again after mistakes, which takes half a second."""

MAX_NAME = 60
"""Characters of a name."""

MAX_STRING = 500
"""Characters of a string."""

MAX_DIGITS = 60
"""Digits of a number as written, and of every number computed."""

MAX_AXES = 8
"""Numbers of a size, as `3x224x224`."""

MAX_NESTING = 50
"""Brackets, bodies and operators inside one another, as written."""

MAX_CALLS = 60
"""Block and function calls inside one another."""

MAX_STEPS = 200_000
"""Statements and calls that one net may run; mistakes, long expressions and lists count as several."""

STEPS_A_MISTAKE = 5

TOKENS_A_STEP = 8
"""As many words and symbols of an expression are a step more."""

VALUES_A_STEP = 16
"""As many values of a list are a step more."""

MAX_VALUES = 100_000
"""Values in a list, nested ones included."""

MAX_DEPTH = 8
"""Lists inside one another."""
