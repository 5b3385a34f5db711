"""What a file may ask for. A spec is input like any other: every limit ends in a clear error."""

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILES = 100
"""Files that one spec may import, all told."""

MAX_DIGITS = 60
"""Digits of a number as written, and of every number computed."""

MAX_NESTING = 50
"""Brackets, bodies and operators inside one another, as written."""

MAX_CALLS = 60
"""Block and function calls inside one another."""

MAX_NODES = 150_000
MAX_STEPS = 300_000
"""Statements and calls that one net may run; long lists count as steps too."""

MAX_VALUES = 100_000
"""Values in a list, nested ones included."""

MAX_DEPTH = 8
"""Lists inside one another."""
