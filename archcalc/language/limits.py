"""The limits of a file. A file can come from anyone, so each limit ends in a clear error.

With these limits, reading any file takes seconds and some hundred megabytes at most.
"""

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Bytes of a file and all files it imports, together."""

MAX_FILES = 100
"""Files that a file can import, directly or indirectly."""

MAX_TOKENS = 800_000
"""Names, numbers, and symbols in a file."""

MAX_DEFINITIONS = 10_000
"""Blocks, nets, and functions in a file."""

MAX_PARAMETERS = 100
"""Parameters of a block, net or function."""

MAX_MISTAKES = 100
"""Syntax errors in a file. After this many, the rest is not read."""

MAX_REREAD = 1024 * 1024
"""Characters of a file that are read again after mistakes. Reading so many takes half a second."""

MAX_NAME = 60
"""Characters of a name."""

MAX_STRING = 500
"""Characters of a string."""

MAX_DIGITS = 60
"""Digits of a number, written or computed."""

MAX_AXES = 8
"""Numbers in a size such as `3x224x224`."""

MAX_NESTING = 50
"""Nesting depth of brackets, bodies, and operators in the text."""

MAX_CALLS = 60
"""Nesting depth of block and function calls."""

MAX_STEPS = 200_000
"""Statements and calls that a net can run. Mistakes, long expressions, and lists count as several."""

STEPS_A_MISTAKE = 5

TOKENS_A_STEP = 8
"""Each time an expression has this many more tokens, it counts as one more step."""

VALUES_A_STEP = 16
"""Each time a list has this many more values, it counts as one more step."""

MAX_VALUES = 100_000
"""Values in a list, including nested lists."""

MAX_DEPTH = 8
"""Nesting depth of lists."""
