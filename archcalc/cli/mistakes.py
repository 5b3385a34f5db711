"""Errors for command lines that typer does not accept, in the form of all other errors."""

from __future__ import annotations

import re
from typing import Any

from archcalc.diagnostics import ArchError, did_you_mean, error, near_miss

_REASON = re.compile(r"^(Invalid value for '[^']*': )Value error, ")


def no_command(name: str, commands: list[str]) -> ArchError:
    """The error for a word that is not a command. For a network, it suggests `report`."""
    from archcalc.catalog import shipped_files
    from archcalc.readers import suffix_of

    if name in shipped_files() or suffix_of(name.partition(":")[0]):
        help = f"write `archcalc report {name}`"
    else:
        help = near_miss(name, commands) or "`archcalc --help` lists them"
    return error(f"there is no command `{name}`", help=help)


def usage_error(problem: Any) -> ArchError:
    """The error for what typer raises: an unknown option, a missing argument, a value of another kind.

    `problem` is a `ClickException`, which newer releases of typer define in a module of their own.
    """
    command = problem.ctx.command_path if getattr(problem, "ctx", None) is not None else "archcalc"
    more = f"`{command} --help` shows its arguments and options"
    if type(problem).__name__ == "NoSuchOption":
        help = " ".join(filter(None, (did_you_mean(problem.possibilities or ()), more)))
        return error(f"`{command}` has no option `{problem.option_name}`", help=help)
    text = _REASON.sub(r"\1", problem.format_message()).rstrip(".")
    text = re.sub(r"'([^'\s]+)'", r"`\1`", text)
    return error(text[:1].lower() + text[1:], help=more)
