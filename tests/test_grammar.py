"""The page of the language, `docs/language.md`, against the parser, the classes and the loader.

The grammar on the page is read by this file, turned into a grammar for lark's Earley parser, and must
accept what the parser accepts, and nothing else. `docs/generate.py` writes the generated parts.
"""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import lark
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archcalc import network
from archcalc.catalog import specs_folder
from archcalc.checking.evaluate import check
from archcalc.diagnostics import Source
from archcalc.expect import UNITS
from archcalc.language import limits
from archcalc.language.elaborate import elaborate
from archcalc.language.expectation import ExpectationParser
from archcalc.language.expressions import ExpressionParser
from archcalc.language.loader import load_text
from archcalc.language.parser import Parser, parse
from archcalc.language.tokens import RESERVED, Token, tokenize
from archcalc.layers import arguments
from archcalc.profile import analyze
from archcalc.readers.arch import missing_values

PAGE = Path(__file__).parent.parent / "docs" / "language.md"
SPECS = sorted(specs_folder().glob("*.arch"))


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)


# --- The notation -----------------------------------------------------------------------------------

Form = tuple[str, Any]
"""What stands in a rule: ("all", forms), ("one", forms), ("maybe", form), ("many", form), ("word", text),
("token", kind) or ("rule", name)."""

_NOTATION = re.compile(r'\s*("[^"]+"|[A-Za-z]+|[][(){}|=.])')


def read_rules(text: str) -> dict[str, Form]:
    """The rules of a text in the notation of the page."""
    symbols = _NOTATION.findall(text)
    assert "".join(symbols) == re.sub(r"\s", "", text)
    symbols.reverse()
    rules: dict[str, Form] = {}
    while symbols:
        name = symbols.pop()
        assert name.islower()
        assert name not in rules
        assert symbols.pop() == "="
        rules[name] = _choice(symbols)
        assert symbols.pop() == "."
    return rules


def _choice(symbols: list[str]) -> Form:
    forms = [_sequence(symbols)]
    while symbols[-1] == "|":
        symbols.pop()
        forms.append(_sequence(symbols))
    return forms[0] if len(forms) == 1 else ("one", forms)


def _sequence(symbols: list[str]) -> Form:
    forms = []
    while symbols[-1] not in ("|", ".", ")", "]", "}"):
        symbol = symbols.pop()
        if symbol in ("(", "[", "{"):
            inner = _choice(symbols)
            assert symbols.pop() == {"(": ")", "[": "]", "{": "}"}[symbol]
            forms.append(inner if symbol == "(" else ({"[": "maybe", "{": "many"}[symbol], inner))
        elif symbol.startswith('"'):
            forms.append(("word", symbol[1:-1]))
        else:
            forms.append(("token" if symbol.isupper() else "rule", symbol))
    return forms[0] if len(forms) == 1 else ("all", forms)


def rules_of_the_page() -> dict[str, Form]:
    (text,) = blocks("ebnf")
    return read_rules(text)


def rules_of_the_parser() -> dict[str, Form]:
    """What the docstrings of the parsers' methods say that they parse."""
    docs = [
        inspect.getdoc(method) or ""
        for parser in (Parser, ExpressionParser, ExpectationParser)
        for _, method in inspect.getmembers(parser, inspect.isfunction)
    ]
    return read_rules("\n".join(doc for doc in docs if re.match(r"[a-z]+ = ", doc)))


def test_the_page_has_the_rules_of_the_parser() -> None:
    page_rules, parser_rules = rules_of_the_page(), rules_of_the_parser()
    assert page_rules.keys() == parser_rules.keys()
    for name, rule in page_rules.items():
        assert rule == parser_rules[name], name


def walk(form: Form) -> Iterator[Form]:
    yield form
    what, inside = form
    if what in ("all", "one"):
        for one in inside:
            yield from walk(one)
    elif what in ("maybe", "many"):
        yield from walk(inside)


def test_the_grammar_is_whole() -> None:
    """Every rule is reached from `file`, and its words are those that the tokenizer sets apart."""
    rules = rules_of_the_page()
    seen, open_ = {"file"}, ["file"]
    words, kinds = set(), set()
    while open_:
        for what, inside in walk(rules[open_.pop()]):
            if what == "rule" and inside not in seen:
                seen.add(inside)
                open_.append(inside)
            elif what == "word":
                words.add(inside)
            elif what == "token":
                kinds.add(inside)
    assert seen == rules.keys()
    assert {word for word in words if word.isalpha()} == RESERVED | ({*CONTEXTUAL} - {"training"})
    assert kinds == {"NAME", "NUMBER", "SIZE", "UNIT", "STRING"}
    for symbol in words - RESERVED - {*CONTEXTUAL}:
        assert [token.kind for token in tokenize(Source("word", symbol))] == [symbol, "END"]
    assert all(unit in page() for unit in UNITS)


# --- The same grammar for lark ----------------------------------------------------------------------

CONTEXTUAL = ("within", "of", "because", "training", "written", "as", "see")
"""Words that are names as well."""


def sharpened(rules: dict[str, Form]) -> dict[str, Form]:
    """The rules with what the notation cannot say: lines, touching brackets, and `not` with `because`."""
    rules = dict(rules)
    rules["file"] = _on_lines(rules["file"])
    words, (_, statements), end = rules["body"][1][0], rules["body"][1][1], rules["body"][1][2]
    rules["body"] = ("all", [words, _on_lines(("many", statements)), end])
    # the ( of a call and the [ of an index touch what is before them
    rules["item"] = _replace(rules["item"], ("rule", "args"), ("rule", "call"))
    rules["call"] = _replace(rules["args"], ("word", "("), ("token", "CALL"))
    rules["factor"] = _replace(rules["factor"], ("word", "["), ("token", "INDEX"))
    # `because` is there if `not` is, and says something; in brackets there is a path, or `training=true`
    before, after = (
        ("word", "expect"),
        [("rule", "relation"), ("rule", "figure"), ("maybe", ("rule", "string"))],
    )
    quantity = [("token", "NAME"), ("maybe", ("rule", "part"))]
    plain = ("all", [before, *quantity, *after])
    negated = ("all", [before, ("word", "not"), *quantity, *after, ("word", "because"), ("token", "STRING")])
    what, alternatives = rules["statement"]
    assert what == "one"
    assert alternatives[-1][1][0] == before
    rules["statement"] = ("one", [*alternatives[:-1], plain, negated])
    rules |= read_rules(
        """
        part = "(" [ facet { "," facet } [ "," ] ] ")" .
        facet = path | "training" "=" truth .
        path = string | "(" path ")" .
        truth = "true" | "false" | "(" truth ")" .
        string = STRING | EMPTY .
        """
    )
    rules["item"] = _replace(rules["item"], ("token", "STRING"), ("rule", "string"))
    rules["import"] = _replace(rules["import"], ("token", "STRING"), ("rule", "string"))
    return rules


def _on_lines(form: Form) -> Form:
    """Any number of something, each on lines of its own."""
    what, one = form
    assert what == "many"
    line = ("token", "NEWLINE")
    more = ("many", ("all", [line, one]))
    return ("all", [("maybe", line), ("maybe", ("all", [one, more, ("maybe", line)]))])


def _replace(form: Form, old: Form, new: Form) -> Form:
    if form == old:
        return new
    what, inside = form
    if what in ("all", "one"):
        return what, [_replace(one, old, new) for one in inside]
    if what in ("maybe", "many"):
        return what, _replace(inside, old, new)
    return form


def terminal(word: str) -> str:
    """What lark calls a word or symbol."""
    return "_".join(
        ["W", *(character.upper() if character.isalpha() else str(ord(character)) for character in word)]
    )


def for_lark(form: Form) -> str:
    what, inside = form
    if what == "all":
        return "(" + " ".join(map(for_lark, inside)) + ")"
    if what == "one":
        return "(" + " | ".join(map(for_lark, inside)) + ")"
    if what in ("maybe", "many"):
        return for_lark(("all", [inside])) + ("?" if what == "maybe" else "*")
    if what == "rule":
        return f"r_{inside}"
    if what == "word":
        return {"(": "opening", "[": "bracket"}.get(inside, terminal(inside))
    return "name" if inside == "NAME" else inside


class Kinds(lark.lexer.Lexer):
    """Hands lark the tokens of archcalc."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, state: Any, parser_state: Any = None) -> Iterator[lark.Token]:
        text = getattr(state, "text", state)
        for kind in str(getattr(text, "text", text)).split():
            yield lark.Token(kind, kind)


@cache
def earley() -> lark.Lark:
    rules = sharpened(rules_of_the_page())
    words = {inside for rule in rules.values() for what, inside in walk(rule) if what == "word"}
    kinds = {inside for rule in rules.values() for what, inside in walk(rule) if what == "token"}
    terminals = {terminal(word) for word in words} | (kinds - {"NAME"}) | {"PLAIN"}
    lines = [f"r_{name}: {for_lark(rule)}" for name, rule in rules.items()]
    lines.append("name: PLAIN | " + " | ".join(map(terminal, CONTEXTUAL)))
    lines.append(f"opening: {terminal('(')} | CALL")
    lines.append(f"bracket: {terminal('[')} | INDEX")
    lines += [f"%declare {name}" for name in sorted(terminals)]
    return lark.Lark("\n".join(lines), start="r_file", parser="earley", lexer=Kinds)


def kinds_for_lark(source: Source, tokens: list[Token]) -> list[str]:
    kinds = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        kind, text = token.kind, source.text[token.start : token.end]
        touches = before is not None and before.end == token.start
        if kind == "END":
            break
        if kind == "NAME":
            kind = terminal(text) if text in CONTEXTUAL else "PLAIN"
        elif kind == "(" and touches and before is not None and before.kind == "NAME":
            kind = "CALL"
        elif kind == "[" and touches:
            kind = "INDEX"
        elif text == '""':
            kind = "EMPTY"
        elif kind not in ("NUMBER", "SIZE", "UNIT", "STRING", "NEWLINE", "ERROR"):
            kind = terminal(kind)
        kinds.append(kind)
    return kinds


@cache
def lark_accepts(kinds: str) -> bool:
    try:
        earley().parse(kinds)
    except lark.exceptions.LarkError:
        return False
    return True


def grammar_accepts(text: str) -> bool:
    """Does the page's grammar have this file? It does not say so, but a file defines something."""
    source = Source("text", text)
    kinds = kinds_for_lark(source, tokenize(source))
    if "ERROR" in kinds or not set(kinds) - {"NEWLINE"}:
        return False
    return lark_accepts(" ".join(kinds))


def parser_accepts(text: str) -> bool:
    return not parse(Source("text", text)).problems


def definitions(text: str) -> list[str]:
    """The imports and definitions of a file, cut where a line ends outside all brackets."""
    found = []
    depth, start = 0, -1
    for token in tokenize(Source("text", text)):
        depth += (token.kind in "([{") - (token.kind in ")]}")
        if token.kind not in ("NEWLINE", "END"):
            start = token.start if start < 0 else start
        elif depth == 0 and start >= 0:
            found.append(text[start : token.start])
            start = -1
    return found


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_are_in_the_grammar(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parser_accepts(text)
    assert all(map(grammar_accepts, definitions(text)))


def test_a_file_has_one_definition_a_line() -> None:
    text = (specs_folder() / "common.arch").read_text(encoding="utf-8")
    assert grammar_accepts(text)
    two = "fn a(x) = x", "block b { relu }"
    assert grammar_accepts("\n".join(two))
    assert not grammar_accepts(" ".join(two))
    assert not parser_accepts(" ".join(two))


# --- Mutations --------------------------------------------------------------------------------------


def pieces(text: str) -> list[tuple[str, str]]:
    """The tokens of a text, each with what sets it apart from the one before: nothing, a space, a line."""
    found = []
    at = 0
    for token in tokenize(Source("text", text)):
        if token.kind not in ("NEWLINE", "END"):
            gap = text[at : token.start]
            found.append(("\n" if "\n" in gap else " " * bool(gap), text[token.start : token.end]))
            at = token.end
    return found


@cache
def snippets() -> list[list[tuple[str, str]]]:
    """Short definitions from the specs and from the page."""
    texts = [path.read_text(encoding="utf-8") for path in SPECS] + blocks("arch") + [
        'from "a.arch" import b, c',
        "fn f(x, y=2 ** -1 // 3,) = -x[0][1] if not x == y or true and false else (max(x, 1)) % 2",
        "net a {\n for i, j in [[1, 2], []] { repeat i { a: relu } } \n output b = { relu }\n}",
        'net a = b(1, c=[1x7, "s"],) { expect not macs within 2% of 3.5G "T" because "r" }',
        'net a { expect params("p", training=true) ~ 60M "T"\n expect shape == 3x2 }',
        "block a { if c < 1 { relu } else if d { x = add(identity, { tanh -> abs }) } else { } }",
    ]  # fmt: skip
    found = [pieces(definition) for text in texts for definition in definitions(text)]
    return [snippet for snippet in found if 0 < len(snippet) <= 60]


GAPS = st.sampled_from(["", " ", " ", " ", "\n"])
WORDS = st.sampled_from(
    sorted(RESERVED)
    + list("+-*/%<>=~()[]{},:")
    + ["->", "**", "//", "==", "!=", "<=", ">=", *CONTEXTUAL]
    + ["x", "relu", "2", "1.5e3", "1x7", '"s"', '""', "3M", "3KiB", "#"]
)


@st.composite
def mutated(draw: Any) -> str:
    snippet = list(draw(st.sampled_from(snippets())))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(snippet) - 1))
        how = draw(st.sampled_from(["delete", "duplicate", "swap", "insert", "replace", "space"]))
        if how == "delete" and len(snippet) > 1:
            del snippet[at]
        elif how == "duplicate":
            snippet.insert(at, (draw(GAPS), snippet[at][1]))
        elif how == "swap":
            other = (at + 1) % len(snippet)
            (gap, text), (other_gap, other_text) = snippet[at], snippet[other]
            snippet[at], snippet[other] = (gap, other_text), (other_gap, text)
        elif how == "space":
            snippet[at] = (draw(GAPS), snippet[at][1])
        else:
            snippet[at : at + (how == "replace")] = [(draw(GAPS), draw(WORDS))]
    return "".join(gap + text for gap, text in snippet)


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=250)


@SLOW
@given(mutated())
def test_mutations(text: str) -> None:
    """The parser finds nothing wrong exactly where the page's grammar has the text."""
    assume(all(word.count("x") < 8 for word in text.split()))  # no size has more axes
    assert parser_accepts(text) == grammar_accepts(text)


# --- Random sentences -------------------------------------------------------------------------------


@cache
def shortest() -> dict[str, int]:
    """How deep the least deep sentence of each rule is."""
    rules = sharpened(rules_of_the_page())
    depths = dict.fromkeys(rules, 10**6)
    changed = True
    while changed:
        changed = False
        for name, rule in rules.items():
            depth = 1 + depth_of(rule, depths)
            if depth < depths[name]:
                depths[name], changed = depth, True
    return depths


def depth_of(form: Form, depths: dict[str, int]) -> int:
    what, inside = form
    if what == "all":
        return max(depth_of(one, depths) for one in inside)
    if what == "one":
        return min(depth_of(one, depths) for one in inside)
    return depths[inside] if what == "rule" else 0


EXAMPLES = {
    "NAME": ["x", "relu", "conv2", "_a", *CONTEXTUAL],
    "NUMBER": ["0", "16", "138_357_544", "0.75", "1.8e9", "2E-3"],
    "SIZE": ["3x224x224", "1x7", "0x3"],
    "STRING": ['"s"', '"a \\" b \\\\"', '"# {"'],
}
TOUCHING = {"CALL": "(", "INDEX": "["}


def sentence(rules: dict[str, Form], form: Form, random: Random, depth: int) -> Iterator[str]:
    """The words of a random sentence, each with the gap before it."""
    what, inside = form
    if what == "all":
        for one in inside:
            yield from sentence(rules, one, random, depth)
    elif what == "one":
        least = min(depth_of(one, shortest()) for one in inside)
        fitting = [one for one in inside if depth_of(one, shortest()) <= max(depth, least)]
        yield from sentence(rules, random.choice(fitting), random, depth)
    elif what == "maybe":
        if depth_of(inside, shortest()) <= depth and random.random() < 0.4:
            yield from sentence(rules, inside, random, depth)
    elif what == "many":
        while depth_of(inside, shortest()) <= depth and random.random() < 0.3:
            yield from sentence(rules, inside, random, depth)
    elif what == "rule":
        yield from sentence(rules, rules[inside], random, depth - 1)
    elif inside == "NEWLINE":
        yield random.choice(["\n", "  # and so on\r\n", "\n\n"])
    elif inside == "UNIT":
        yield random.choice(sorted(UNITS))
    elif inside == "EMPTY":
        yield ' ""'
    else:
        yield TOUCHING[inside] if inside in TOUCHING else " " + random.choice(EXAMPLES.get(inside, [inside]))


@SLOW
@given(st.integers(0, 10**9))
def test_random_sentences(seed: int) -> None:
    """Whatever the grammar derives, the parser takes."""
    random = Random(seed)
    start = ("rule", random.choice(["define", "define", "import"]))
    text = "".join(sentence(sharpened(rules_of_the_page()), start, random, 30))
    assert parse(Source("text", text)).problems == ()


# --- What the notation cannot say -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("fc(10)", "fc (10)"),
        ("x = rows[0]", "x = rows [0]"),
        ("relu\n  tanh", "relu tanh"),
        ("relu ->\n  tanh", "relu\n  , tanh"),
        ("relu\n  -> tanh", "relu\n  + tanh"),
        ("add(x,\n y\n)", "x =\n y"),
        ("x = [\n 1,\n 2,\n]", "x = 1 +\n 2"),
        ("if a { relu }\n else { tanh }", "if a\n { relu }"),
        ("add({ relu\n tanh }, x)", "add({ relu tanh }, x)"),
        ("x = 1 if a\n else 2", "x = 1\n if a else 2"),
        ("within = 2", "in = 2"),
        ("of: relu", "expect: relu"),
        ("x = 3 * 224", "x = 3x"),
        ("x = 1.5", "x = 1."),
        ("x = 10_000", "x = 10__000"),
        ('x = "a\\"b"', "x = 'a'"),
        ('expect not macs == 3M because "of it"', "expect not macs == 3M"),
        ("expect macs == 3M", 'expect macs == 3M because "of it"'),
        ("expect macs == 3M", "expect macs == 3 M"),
        ("expect macs == 3M", "x = 3M"),
        ('expect params("a", training=true) > 1', "expect params(a) > 1"),
        ("expect macs within 2% of 3M", "expect macs within 2M of 3M"),
        ("x = a < b and b < c", "x = a < b < c"),
        ("x = not a == b", "x = a == not b"),
        ("x = -2 ** -2", "x = - * 2"),
        ("relu # and so on\r\n  tanh", "relu ; tanh"),
    ],
)
def test_what_the_notation_cannot_say(good: str, bad: str) -> None:
    for line, holds in ((good, True), (bad, False)):
        text = f"net n {{\n  {line}\n}}\n"
        assert parser_accepts(text) is holds, line
        assert grammar_accepts(text) is holds, line


# --- The rest of the page ---------------------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    """Layer kinds and error messages are those of the code."""
    generate = runpy.run_path(str(PAGE.parent / "generate.py"))
    assert page() == generate["rewritten"](page()), "docs/language.md is out of date: run `make docs-tables`"
    assert generate["LAYERS"].search(page())
    assert len(generate["ERROR"].findall(page())) == len(blocks("arch-error")) > 0


@pytest.mark.parametrize("text", blocks("arch"), ids=lambda text: re.findall(r"^net (\w+)", text, re.M)[0])
def test_examples_hold(text: str) -> None:
    """Every example loads, has something to check, and what it expects is so."""
    module = load_text(text)
    checks = []
    for net in module.nets.values():
        assert not missing_values(net)
        checks += check(analyze(elaborate(net)))
    assert checks
    assert [found.reason for found in checks if not found.held] == []


def test_every_limit_is_on_the_page() -> None:
    rows = re.findall(r"^\| .* \| ([\d,]+) \|$", page().partition("## Limits")[2], re.MULTILINE)
    known = {**vars(limits), **vars(network), **vars(arguments)}
    values = [value for name, value in known.items() if name.startswith("MAX_")]
    assert sorted(rows) == sorted(f"{value:,}" for value in values)
