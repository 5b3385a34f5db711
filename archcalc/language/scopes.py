"""The names of a file: where each is visible, and errors about names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from archcalc.diagnostics import MAX_REPORTED, Diagnostic, Note, Span, did_you_mean, near_miss, near_misses
from archcalc.language.meanings import RESERVED_MEANINGS
from archcalc.language.syntax import Definition, Variant
from archcalc.layers.base import KINDS


class ValueType(Enum):
    """The type of an expression, if it is known before shapes are inferred."""

    TENSOR = "a tensor"
    VALUE = "a value that is not a list"
    LIST = "a value that may be a list"
    ANY = "anything"


# Module names, because looking up an enum member calls a function in Python 3.11, and this is a hot path.
TENSOR, VALUE, LIST, ANY = ValueType

MANY_PROBLEMS = 1_000
"""After this many mistakes, the rest of a file is not checked."""


BOUND = {
    "param": "is a parameter",
    "label": "is a label",
    "let": "is assigned",
    "loop": "is a loop variable",
    "output": "is a result",
    "aux": "is a result",
}

_LITERALS = {
    "True": "write `true`",
    "False": "write `false`",
    **dict.fromkeys(("None", "none", "null"), "leave the argument out to use its default"),
}


class Binding(Struct, eq=False):
    """A name bound within a definition, with the type of its value."""

    name: str
    span: Span
    by: str
    type: ValueType
    read: bool = False
    holds_layer: bool = False


class Missed(Struct, frozen=True):
    """An unknown name: where it is first used, what is expected there, and the help to show.

    `suggests` are the names that the help suggests instead.
    """

    span: Span
    what: str
    help: str = ""
    suggests: tuple[str, ...] = ()


class Scopes:
    """The names that are visible at a place of a file. `problems` collects the mistakes."""

    def __init__(self, imported: Mapping[str, tuple[Definition, Span]], lost: Collection[str] = ()) -> None:
        self.problems: list[Diagnostic] = []
        self.visible: dict[str, Definition] = {}
        self.places: dict[str, Span] = {}
        self.imported = imported
        self.used: set[str] = set()
        for name, (definition, span) in imported.items():
            if self.free(name, span):
                self.visible[name] = definition
                self.places[name] = span
        self.lost = lost
        """Names that may be defined in text that does not parse."""
        self.open: list[dict[str, Binding]] = [{}]
        """The bindings of the open scopes, outermost first."""
        self.ended: list[Binding] = []
        """The bindings of the current definition whose scopes are closed."""
        self.missed: dict[str, Missed] = {}
        """The unknown names of the current definition."""
        self.current: Definition | None = None
        self.below: dict[str, Span] = {}
        """The definitions that come later in the file."""

    def error(
        self, message: str, span: Span, help: str = "", label: str = "", notes: Sequence[Note] = ()
    ) -> None:
        self.problems.append(Diagnostic(message, span, label, tuple(notes), help))

    def free(self, name: str, span: Span) -> bool:
        """Can a definition have this name? If not, records a mistake."""
        if name in self.visible:
            note = Note(f"`{name}` is defined here", self.places[name])
            self.error(f"`{name}` is defined twice", span, notes=[note], help="give one of them another name")
            return False
        return not self.is_of_the_language(name, span)

    def is_of_the_language(self, name: str, span: Span) -> bool:
        """Is this a name of the language itself? If so, records a mistake."""
        if name not in KINDS and name not in RESERVED_MEANINGS:
            return False
        self.error(f"`{name}` is a built-in name", span, help="choose another name")
        return True

    def begin(self, definition: Definition) -> None:
        """Start a definition, with an empty scope."""
        self.current = definition
        self.open = [{}]

    def open_scope(self) -> None:
        self.open.append({})

    def define(self, definition: Definition) -> None:
        """Make a definition visible to the definitions below it."""
        if self.free(definition.name, definition.name_span):
            self.visible[definition.name] = definition
            self.places[definition.name] = definition.name_span
            self.below.pop(definition.name, None)

    def check_imports(self) -> None:
        """Report unused imports."""
        for name, (_, span) in self.imported.items():
            if not (name in self.used or name in self.lost or self.has_many_problems()):
                self.error(f"the import `{name}` is never used", span, help="remove it")

    def close_scope(self) -> None:
        self.ended.extend(self.open.pop().values())

    def lookup(self, name: str) -> Binding | None:
        for scope in reversed(self.open):
            if name in scope:
                return scope[name]
        return None

    def bind(self, name: str, span: Span, by: str, type: ValueType, holds_layer: bool = False) -> None:
        """Bind a name in the innermost scope. `=` can rebind a name that was bound by `=`."""
        known = self.lookup(name)
        if known is not None:
            if by == "let" and known.by == "let":
                if known.type is not type:
                    known.type = ANY
                return
            known.read = True
            note = Note(f"`{name}` {BOUND[known.by]} here", known.span)
            help = "choose another name"
            if by == "let":
                help += ": only a name assigned with `=` can be assigned again"
            self.error(f"`{name}` is already in use", span, notes=[note], help=help)
            return
        place = self.places.get(name)
        if self.current is not None and name == self.current.name and by != "param":
            place = self.current.name_span
        taken = place is not None
        if taken:
            note = Note(f"`{name}` is defined here", place)
            self.error(f"`{name}` is already in use", span, notes=[note], help="choose another name")
        elif self.is_of_the_language(name, span):
            taken = True
        self.open[-1][name] = Binding(name, span, by, type, read=taken, holds_layer=holds_layer)

    def finish(self) -> None:
        """Finish a definition, and report names that are never used or have no meaning."""
        while self.open:
            self.close_scope()
        meant = {name for missed in self.missed.values() for name in missed.suggests}
        for binding in self.ended:
            known = binding.read or binding.name in meant
            unknown = binding.name in self.missed or binding.name in self.lost or self.has_many_problems()
            if not (known or unknown):
                self.unused(binding)
        for name, missed in self.missed.items():
            self.unknown(name, missed)
        self.ended.clear()
        self.missed.clear()

    def unused(self, binding: Binding) -> None:
        name, span = binding.name, binding.span
        if binding.by == "param":
            self.error(f"the parameter `{name}` is never used", span, help="remove it")
        elif binding.by == "let" and binding.holds_layer:
            help = f"write `{name}: ...` to name the tensor and continue from it"
            self.error(f"nothing uses `{name}`", span, help=help)
        elif binding.by == "let":
            self.error(f"`{name}` is never used", span, help="remove it")

    def near_miss(self, name: str, known: Collection[str]) -> str:
        """The known names that are similar to `name`. Called only for diagnostics that will be shown."""
        return near_miss(name, known) if len(self.problems) + len(self.missed) < MAX_REPORTED else ""

    def miss(self, name: str, span: Span, what: str, candidates: Collection[str] | None = None) -> None:
        """Record that a name has no meaning where it is read. The reason shows at the end of the definition.

        `candidates` are the names that it may mean, if not any name.
        """
        if name in self.missed or name in self.lost:
            return
        if len(self.missed) + len(self.problems) >= MAX_REPORTED:
            self.missed[name] = Missed(span, what)
            return
        from archcalc.language.foreign import help_for_layer

        help = help_for_layer(name) or _LITERALS.get(name, "")
        suggests: tuple[str, ...] = ()
        if not help:
            suggests = near_misses(name, self.all_names() if candidates is None else candidates)
            help = did_you_mean(suggests)
        if not help and what == "layer or block":
            block = f"`block {name} {{ ... }}`"
            help = f"`archcalc layers` lists the layers; to combine layers, define it above: {block}"
        elif not help and "layer" in what:
            help = "`archcalc layers` lists the layers"
        self.missed[name] = Missed(span, what, help, suggests)

    def unknown(self, name: str, missed: Missed) -> None:
        """Report a name without a meaning."""
        span = missed.span
        if self.current is not None and name == self.current.name:
            message = f"`{name}` is used in its own definition"
            help = "recursion is not possible: write a loop, or split the definition"
            if isinstance(self.current, Variant):
                help = "use a net that is defined above"
            self.error(message, span, help=help)
            return
        if name in self.below:
            notes = [Note(f"`{name}` is defined below", self.below[name])]
            assert self.current is not None
            help = f"move it above `{self.current.name}`"
            self.error(f"`{name}` is not defined yet", span, notes=notes, help=help)
            return
        for binding in self.ended:
            if binding.name != name:
                continue
            if binding.span.start > span.start:
                notes = [Note(f"`{name}` {BOUND[binding.by]} below", binding.span)]
                self.error(
                    f"`{name}` is not assigned yet", span, notes=notes, help="assign it before it is used"
                )
            else:
                notes = [Note(f"`{name}` {BOUND[binding.by]} here, until its `}}`", binding.span)]
                help = f"assign it before that body too: `{name} = ...`"
                self.error(f"`{name}` is not visible here", span, notes=notes, help=help)
            return
        self.error(f"unknown {missed.what} `{name}`", span, help=missed.help)

    def all_names(self) -> list[str]:
        local = [name for scope in self.open for name in scope]
        return [*local, *self.visible, *KINDS, *RESERVED_MEANINGS]

    def has_many_problems(self) -> bool:
        return len(self.problems) + len(self.missed) > MANY_PROBLEMS
