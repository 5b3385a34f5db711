"""The text of `--help`, for the program and for each command, from the signature of its function.

It is written here, not by typer, so that it is the same with every release of typer, fits the width of all
other output, and has examples that can be copied. In a docstring, a paragraph that is a command in backquotes
is an example. The text after the command becomes a shell comment. Lines that begin with `- ` are a list.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

Row = tuple[str, str]
"""The text on the left, and its explanation."""

NARROW = 26
"""The widest the left side can be. The explanation of a longer entry starts on the next line."""

BESIDE = 44
"""The remark of a longer command is above it."""

_EXAMPLE = re.compile(r"`(archcalc [^`]*)`(?:, | )?(.*)", re.DOTALL)
_VALUES = {int: "NUMBER", str: "TEXT"}
_HELP = ("-h, --help", "Show this message.")


def command_help(path: str, function: Callable[..., Any], width: int, bold: bool) -> str:
    """The help of a command; `path` is how it is called, such as `archcalc report`."""
    summary, prose, examples = _docstring(function)
    arguments, options = _rows(function)
    lines = [_usage_line(path, function), "", *_wrap(summary, width)]
    for paragraph in prose:
        lines += ["", *_paragraph(paragraph, width)]
    lines += _section("Examples", _commented(examples, width), bold)
    lines += _section("Arguments", _table(arguments, width), bold)
    lines += _section("Options", _table([*options, _HELP], width), bold)
    return "\n".join(lines)


def program_help(
    docstring: str,
    panels: Mapping[str, Sequence[tuple[str, Callable[..., Any]]]],
    options: Sequence[Row],
    end: Sequence[str],
    width: int,
    bold: bool,
) -> str:
    """The help of the program: summary, examples, commands under headings, options, closing paragraphs."""
    summary, prose, examples = _split(docstring)
    lines = ["Usage: archcalc COMMAND ...", "", *_wrap(summary, width)]
    for paragraph in prose:
        lines += ["", *_wrap(paragraph, width)]
    lines += _section("Start here", _commented(examples, width), bold)
    for title, commands in panels.items():
        rows = [(name, _docstring(function)[0]) for name, function in commands]
        lines += _section(title, _table(rows, width), bold)
    lines += _section("Options", _table(options, width), bold)
    for paragraph in end:
        lines += ["", *_wrap(paragraph, width)]
    return "\n".join(lines)


def usage_pieces(function: Callable[..., Any]) -> list[str]:
    """The part of a usage line after the command: `[OPTIONS] NET [LAYER]`."""
    pieces = ["[OPTIONS]"]
    for name, info, default, hint in _parameters(function):
        if isinstance(info, ArgumentInfo):
            shown = info.metavar or name.upper()
            if _is_list(hint):
                shown += "..."
            pieces.append(shown if default is inspect.Parameter.empty else f"[{shown}]")
    return pieces


def _usage_line(path: str, function: Callable[..., Any]) -> str:
    return f"Usage: {path} {' '.join(usage_pieces(function))}"


def _docstring(function: Callable[..., Any]) -> tuple[str, list[str], list[Row]]:
    return _split(inspect.getdoc(function) or "")


def _split(docstring: str) -> tuple[str, list[str], list[Row]]:
    """The summary of a docstring, its other paragraphs, and its examples with their remarks, if any."""
    summary, *paragraphs = inspect.cleandoc(docstring).split("\n\n")
    prose, examples = [], []
    for paragraph in paragraphs:
        found = _EXAMPLE.fullmatch(paragraph)
        if found is None:
            prose.append(paragraph)
        else:
            examples.append((" ".join(found[1].split()), " ".join(found[2].split()).removesuffix(".")))
    return summary, prose, examples


def _commented(examples: Sequence[Row], width: int) -> list[str]:
    """Commands with their remarks as comments, beside them in one column, or above if that is too wide."""
    short = [command for command, remark in examples if remark and len(command) <= BESIDE]
    room = max(map(len, short), default=0)
    lines = []
    for command, remark in examples:
        beside = f"{command:<{room}}  # {remark}"
        if not remark:
            lines.append(f"  {command}")
        elif len(command) <= BESIDE and len(beside) + 2 <= width:
            lines.append(f"  {beside}")
        else:
            lines += [f"  # {remark}", f"  {command}"]
    return lines


@cache
def _parameters(function: Callable[..., Any]) -> list[tuple[str, ArgumentInfo | OptionInfo, Any, Any]]:
    """Name, declaration, default and type of each parameter of a command."""
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        hint, info = get_args(hints[name])[:2]
        found.append((name, info, parameter.default, hint))
    return found


def _rows(function: Callable[..., Any]) -> tuple[list[Row], list[Row]]:
    """The arguments and the options of a command, each with its explanation."""
    arguments, options = [], []
    for name, info, default, hint in _parameters(function):
        words = info.help or ""
        if isinstance(info, ArgumentInfo):
            arguments.append((info.metavar or name.upper(), words))
            continue
        # until it builds the command, typer takes the first name for a default
        given = [str(word) for word in (info.default, *(info.param_decls or ())) if str(word)[:1] == "-"]
        names = sorted(given or [f"--{name.replace('_', '-')}"], key=len)
        value = _value(info, hint)
        shown = default.value if isinstance(default, Enum) else default
        if value and shown not in (None, "", inspect.Parameter.empty):
            words = f"{words} [default: {shown}]"
        options.append((", ".join(names) + (f" {value}" if value else ""), words))
    return arguments, options


def _value(info: OptionInfo, hint: Any) -> str:
    """The value of an option: a word for it, or the choices. Empty if the option takes no value."""
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    if info.metavar:
        return info.metavar
    if bool in kinds:
        return ""
    choices = next((kind for kind in kinds if issubclass(kind, Enum)), None)
    if choices is not None:
        return "|".join(str(choice.value) for choice in choices)
    return next((word for kind, word in _VALUES.items() if kind in kinds), "VALUE")


def _is_list(hint: Any) -> bool:
    return "list[" in str(hint)


def _section(title: str, lines: Sequence[str], bold: bool) -> list[str]:
    return ["", f"\x1b[1m{title}\x1b[0m" if bold else title, *lines] if lines else []


def _table(rows: Sequence[Row], width: int) -> list[str]:
    """Rows in two columns, with the explanations wrapped."""
    left = min(NARROW, max((len(name) for name, _ in rows), default=0))
    lines = []
    for name, words in rows:
        wrapped = _wrap(words, width - left - 4) or [""]
        if len(name) > left:
            lines.append(f"  {name}")
            name = ""
        lines += [f"  {first:<{left}}  {line}".rstrip() for first, line in zip([name], wrapped, strict=False)]
        lines += [f"  {'':<{left}}  {line}" for line in wrapped[1:]]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), max(width, 20), break_on_hyphens=False)


def _paragraph(text: str, width: int) -> list[str]:
    """A paragraph, or a list with one item per line that starts with `- `, wrapped."""
    if not text.startswith("- "):
        return _wrap(text, width)
    items = (_wrap(item, width - 2) for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:])
    return [line for first, *rest in items for line in (f"- {first}", *(f"  {more}" for more in rest))]
