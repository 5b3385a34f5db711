"""Whatever a file holds, reading it ends soon, within bounds, and in a network or in an `ArchError`.

Time and memory are measured in processes of their own: two seconds of processor time and 500 MB, the
start of Python included.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archcalc.catalog import specs_folder
from archcalc.diagnostics import ArchError, Diagnostic
from archcalc.language.elaborate import elaborate
from archcalc.language.limits import MAX_FILE_BYTES, MAX_TOKENS
from archcalc.language.loader import load_file, load_text
from archcalc.opening import loads
from archcalc.readers.arch import missing_values

SECONDS = 2
BYTES = 500 * 10**6

CHILD = """
import sys
from pathlib import Path
from archcalc.language.elaborate import elaborate
from archcalc.language.loader import load_file
from archcalc.readers.arch import missing_values
from archcalc.diagnostics import ArchError

try:
    module = load_file(Path(sys.argv[1]), "hostile.arch")
    for net in module.nets.values():
        if not missing_values(net):
            elaborate(net)
    print("fine")
except ArchError as found:
    print(found)
"""


def read(path: Path) -> str:
    """What the process that reads a file prints, held to the limits."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    done = subprocess.run(
        [sys.executable, "-c", CHILD, path],
        capture_output=True,
        encoding="utf-8",
        preexec_fn=limit,
        timeout=20 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"ended by {done.returncode}: {done.stderr[-500:]}"
    return done.stdout


def net(body: str, above: str = "") -> str:
    return f"{above}net small(n=1) {{\n  input(3x8x8)\n  c = n\n{body}\n  conv(c, 1)\n}}\n"


def chained(pattern: str, first: str, count: int) -> str:
    """Definitions that call the one above: `block b1 { b0 }`, `block b2 { b1 }`, ..."""
    lines = [pattern.format(i=i + 1, above=i) for i in range(count)]
    return "\n".join([first, *lines]) + "\n"


MANY = 10_000
ELSE_IF = "  if n == 0 { relu }" + " else if n == 2 { relu }" * MANY
SUM = " + ".join(["n"] * MANY)
STEPS = "`small` takes more than 200,000 steps"
NESTED = "an expression is nested more than 50 levels deep"
DIGITS = "a number has more than 60 digits"
VALUES = "a list has more than 100,000 values"
TOKENS = f"a file has more than {MAX_TOKENS:,} words and symbols"
MILLION = TOKENS if MAX_TOKENS < 1_000_000 else "expected `net`, `block`, `fn` or `from`, found "
BLOCKS = "net small {\n  input(3x8x8)\n  b58\n  relu\n}\n"

TEXTS = {
    # loops
    "a billion times": (
        net("  repeat 1000000000 { relu }"),
        "`repeat` 1,000,000,000 times is over the limit",
    ),
    "loops in loops": (net("  repeat 1000 { repeat 1000 { repeat 1000 { c = c } } }"), STEPS),
    "loops of nothing": (net("  repeat 99999 { repeat 99999 { repeat 99999 { } } }"), STEPS),
    "rows of nothing": (net("  x = range(99999)\n  for a in x { for b in x { for d in x { } } }"), STEPS),
    "no layers": (net("  x = range(99999)\n  for a in x { for b in x { if false { } } }"), STEPS),
    "nodes": (net("  repeat 200000 { relu }"), "a network has more than 150,000 nodes"),
    "mistakes": (net("  repeat 190000 {\n    x = conv(c, 99)\n    x -> relu\n  }"), "the kernel of `conv`"),
    # nesting
    "parentheses": (net(f"  c = {'(' * MANY}1{')' * MANY}"), NESTED),
    "brackets": (net(f"  c = {'[' * MANY}1{']' * MANY}"), NESTED),
    "braces": (net("{\n" * MANY + "relu\n" + "}\n" * MANY), NESTED),
    "calls": (net(f"  c = {'floor(' * MANY}1{')' * MANY}"), NESTED),
    "not": (net(f"  c = {'not ' * MANY}true"), NESTED),
    "minus": (net(f"  c = {'- ' * MANY}1"), NESTED),
    "powers": (net(f"  c = {'**'.join(['2'] * MANY)}"), NESTED),
    "choices": (net(f"  c = {'1 if n == 2 else ' * MANY}3"), NESTED),
    "else if": (net(ELSE_IF), "fine"),
    "else if in a loop": (net(f"  repeat 99999 {{\n{ELSE_IF}\n}}"), STEPS),
    "sums": (net(f"  c = {SUM} - {MANY - 1} * n"), "fine"),
    "sums in a loop": (net(f"  repeat 99999 {{ c = {SUM} }}"), STEPS),
    "sums in a function": (net("  repeat 99999 { c = f(1) }", f"fn f(n) = {SUM}\n"), STEPS),
    "sums in a default": (
        net("  repeat 99999 { b }", f"block b(n=1, m={SUM}) {{ if m == 0 {{ relu }} }}\n"),
        STEPS,
    ),
    "indices": (net(f"  c = [1]{'[0]' * MANY}"), "only a list can be indexed, not a number"),
    "a long chain": (net(f"  {' -> '.join(['relu'] * MANY)}"), "fine"),
    # numbers
    "a million digits": (net(f"  c = {'9' * 1_000_000}"), DIGITS),
    "a million decimals": (net(f"  c = 0.{'9' * 1_000_000}"), DIGITS),
    "grouped digits": (net(f"  c = 1{'_1' * 900_000}"), DIGITS),
    "a large exponent": (net("  c = 1e999999999"), DIGITS),
    "a small exponent": (net("  c = 1e-999999999999999999999"), DIGITS),
    "a tower": (net("  c = 9**9**9"), DIGITS),
    "a power of a fraction": (net("  c = (1/3)**10**9"), DIGITS),
    "powers of one": (net("  c = 1**10**50 * (-1)**10**50 + 0**10**50"), "fine"),
    "a factorial": (net("  for i in range(1000) { c = c * (i + 1) }"), DIGITS),
    "a harmonic number": (net("  for i in range(1000) { c = c + 1 / (i + 2) }"), DIGITS),
    "a sum of fractions": (
        net(f"  x = [{', '.join(f'1/{100_003 + 2 * i}' for i in range(20_000))}]\n  c = sum(x)"),
        DIGITS,
    ),
    "large sizes": (net(f"  c = {'x'.join(['9' * 100_000] * 3)}"), "a size has more than 8 axes"),
    "a long size": (net(f"  c = {'x'.join(['9'] * 100_000)}"), "a size has more than 8 axes"),
    "half a size": (net(f"  c = {'x'.join(['9'] * 100_000)}xy"), "is neither a number nor a name"),
    "a huge input": ("net a {\n  input(999999999999x9x9)\n  relu\n}\n", "needs a whole number of at least 1"),
    "concatenations": (net("  repeat 99 { concat(identity, identity) }"), "over 1,000,000,000 on an axis"),
    "enlargements": (net("  repeat 99 { upsample(scale_factor=2) }"), "over 1,000,000,000 on an axis"),
    # calls
    "blocks twice": (
        chained("block b{i} {{\n b{above}\n b{above} }}", "block b0 { relu }", 58) + BLOCKS,
        STEPS,
    ),
    "blocks of nothing": (
        chained("block b{i} {{\n b{above}\n b{above} }}", "block b0 { }", 58) + BLOCKS,
        STEPS,
    ),
    "blocks in joins": (
        chained("block b{i} {{ add(b{above}, b{above}) }}", "block b0 { identity }", 58) + BLOCKS,
        STEPS,
    ),
    "blocks that fail": (
        chained("block b{i} {{\n x = b{above}\n y = b{above}\n add(x, y) }}", "block b0 { conv(1, 99) }", 58)
        + BLOCKS,
        "the kernel of `conv` is larger than its padded input",
    ),
    "functions twice": (
        chained("fn f{i}(x) = f{above}(x) + f{above}(x)", "fn f0(x) = x", 58) + net("  c = f58(1)"),
        STEPS,
    ),
    "defaults twice": (
        chained("fn f{i}(x=f{above}() + f{above}()) = x", "fn f0(x=1) = x", 58) + net("  c = f58()"),
        STEPS,
    ),
    "blocks in a row": (
        chained("block b{i} {{ b{above} }}", "block b0 { relu }", 9_000) + BLOCKS.replace("58", "9000"),
        "calls are nested more than 60 levels deep",
    ),
    "functions in a row": (
        chained("fn f{i}(x) = f{above}(x)", "fn f0(x) = x", 9_000) + net("  c = f9000(1)"),
        "calls are nested more than 60 levels deep",
    ),
    "too many blocks": (
        chained("block b{i} {{ b{above} }}", "block b0 { relu }", 20_000) + BLOCKS,
        "a file has more than 10,000 definitions",
    ),
    "bodies in blocks": (
        chained("block b{i} {{ OPEN b{above} CLOSE }}", "block b0 { relu }", 58)
        .replace("OPEN", "if true { " * 40)
        .replace("CLOSE", " }" * 40)
        + BLOCKS,
        "calls and bodies in `small` are nested too deeply",
    ),
    "variants of variants": (
        chained("net v{i} = v{above}(n={i})", "net v0(n=1) {\n  input(3x8x8)\n  conv(n, 1)\n}", 5_000),
        "fine",
    ),
    "parameters": (
        f"block b({', '.join(f'p{i}=1' for i in range(20_000))}) {{ relu }}\n",
        "more than 100 parameters",
    ),
    "arguments": (
        net(f"  b({', '.join(f'q{i}=1' for i in range(50_000))})", "block b(p=1) { conv(p, 1) }\n"),
        "`b` has no argument `q0`",
    ),
    # lists
    "doubling": (net("  x = [1]\n  repeat 99 { x = x + x }\n  c = len(x)"), VALUES),
    "nesting": (
        net("  x = [1]\n  repeat 99 { x = [x, x] }\n  c = len(x)"),
        "lists are nested more than 8 levels deep",
    ),
    "a trillion": (net("  for i in range(10**12) { relu }"), "`range` has more than 100,000 values"),
    "minus a trillion": (net("  c = len(range(0, -10**12, -1))"), "`range` has more than 100,000 values"),
    "long lists added": (net("  x = range(50000)\n  for i in x { y = x + x\n    c = len(y) }"), STEPS),
    "long lists compared": (net("  x = range(99999)\n  for i in x { if x == x { c = 1 } }"), STEPS),
    "long lists searched": (net("  x = range(99999)\n  for i in x { c = max(x) }"), STEPS),
    "long lists zipped": (net("  x = range(30000)\n  for i in x { for a, b in zip(x, x) { } }"), STEPS),
    "long lists in lists": (net("  x = range(99990)\n  for i in x { y = [x]\n    c = len(y) }"), STEPS),
    "long lists in arguments": (
        net("  x = range(9999)\n  for i in x { fc([x, 1]) }"),
        "needs a whole number",
    ),
    "joins of many": (net("  x = [identity]\n  repeat 16 { x = x + x }\n  repeat 1000 { add(x) }"), STEPS),
    "arguments of joins": (net(f"  repeat 1000 {{ add({', '.join(['identity'] * MANY)}) }}"), STEPS),
    # texts
    "a million (": ("(" * 1_000_000, MILLION),
    "a million words": ("a " * 1_000_000, MILLION),
    "too many (": ("(" * (MAX_TOKENS + 1), TOKENS),
    "too many words": ("a " * (MAX_TOKENS + 1), TOKENS),
    "a million lines": ("\n" * 1_900_000 + "x", "expected `net`, `block`, `fn` or `from`, found `x`"),
    "a million comments": ("#\n" * 1_000_000, "the file defines nothing"),
    "many quotes": ('"\n' * (MAX_TOKENS // 3), "a string does not end"),
    "strange characters": ("$" * (MAX_TOKENS // 2), "`$` is not allowed here"),
    "a long name": (f"net {'a' * 1_000_000} {{ }}", "a name has more than 60 characters"),
    "a long string": (net(f'  c = "{"a" * 1_900_000}"'), "a string has more than 500 characters"),
    "a string of escapes": (net(f'  c = "{chr(92) * 1_900_000}"'), "a string has more than 500 characters"),
    "a long path": (
        chained(f"block {'b' * 50}{{i}} {{{{ {'b' * 50}{{above}} }}}}", f"block {'b' * 50}0 {{ relu }}", 50)
        + BLOCKS.replace("b58", "b" * 50 + "50"),
        "a path has more than 500 characters",
    ),
    "one line": (f"net small {{ {'{} ' * 150_000}}}", "expected the end of the line, found `{`"),
    "unclosed calls": ("net small {\n" + "  conv(3 4\n" * 50_000 + "}\n", "expected `,` or `)`, found `4`"),
    "unclosed definitions": ("block b( {\n" * 50_000, "expected a parameter's name, found `{`"),
    "unknown names": (net("\n".join(f"  conv(name{i}, 3)" for i in range(50_000))), "unknown name `name0`"),
    "near misses": (
        "".join(f"block abcdefgh{i} {{ relu }}\n" for i in range(9_000))
        + net("\n".join(f"  abcdefghi{i}(1)" for i in range(20_000))),
        "unknown layer or block `abcdefghi0`",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text(case, tmp_path):
    text, message = TEXTS[case]
    path = tmp_path / "hostile.arch"
    path.write_text(text, encoding="utf-8")
    shown = read(path)
    assert message in shown.partition("\n")[0]
    assert len(shown) < 20_000


def test_adaptive_pools(tmp_path):
    body = "  for i in range(9999) {\n    x = adaptive_avgpool(99991 - i)\n    c = channels(x)\n  }"
    (tmp_path / "hostile.arch").write_text(net(body), encoding="utf-8")
    assert "nothing uses the result of" in read(tmp_path / "hostile.arch")


def test_large_file(tmp_path):
    path = tmp_path / "large.arch"
    with path.open("wb") as stream:
        stream.truncate(100 * 10**6)
    assert read(path) == f"error: `hostile.arch` has more than {MAX_FILE_BYTES // 2**20} MiB\n"


def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.arch")
    assert read(tmp_path / "pipe.arch") == "error: `hostile.arch` is not a regular file\n"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_device(tmp_path):
    assert read(Path("/dev/zero")) == "error: `hostile.arch` is not a regular file\n"
    (tmp_path / "zero.arch").symlink_to("/dev/zero")
    assert read(tmp_path / "zero.arch") == "error: `hostile.arch` is not a regular file\n"
    (tmp_path / "main.arch").write_text('from "zero.arch" import cbr\n' + net("  cbr"))
    assert "an imported file must be in the folder" in read(tmp_path / "main.arch")


def test_many_large_imports(tmp_path):
    """Limits hold for a file and its imports together, and so does the end after enough mistakes."""
    for name, text in (("large", "#" * (MAX_FILE_BYTES // 80)), ("wrong", "conv(\n" * 4_000)):
        folder = tmp_path / name
        folder.mkdir()
        for i in range(90):
            (folder / f"f{i}.arch").write_text(f"block f{i} {{ relu }}\n{text}\n", encoding="utf-8")
        imports = "".join(f'from "f{i}.arch" import f{i}\n' for i in range(90))
        (folder / "main.arch").write_text(imports + net("\n".join(f"  f{i}" for i in range(90))))
    assert f"a file and its imports have more than {MAX_FILE_BYTES // 2**20} MiB" in read(
        tmp_path / "large" / "main.arch"
    )
    assert "`conv` is outside a body" in read(tmp_path / "wrong" / "main.arch")


# --- Random changes ---------------------------------------------------------------------------------

SMALL = """
fn half(x, by=2) = x // by
block cbr(c, k=3, stride=1) { conv(c, k, stride, padding=k // 2, bias=false) -> bn -> relu }
shared block head(c) { conv(c, 3, padding=1) -> relu }
block se(r, c=channels) { mul(identity, global_avgpool -> conv(half(r), 1) -> relu -> conv(c, 1) -> sigmoid) }
net small(widths=[8, 16], n=2, deep=true, act="relu", classes=10) {
  input(3x16x16)
  stem: cbr(widths[0]) -> maxpool(2)
  skip = identity
  features = [skip]
  for i, c in enumerate(widths) {
    stage: {
      repeat n if deep else 1 { cbr(c) }
      if act == "relu" { relu } else if c > 8 and not deep { tanh } else { relu6 }
    }
    features = features + [global_avgpool]
  }
  aux side = global_avgpool -> flatten -> fc(classes)
  se(4) -> head(16) -> head(16)
  output map = upsample(scale_factor=2)
  concat(identity, skip) -> crop(size(skip)) -> global_avgpool -> flatten
  fc(classes) -> dropout(0.5) -> softmax
  expect params ~ 12K "Table 1"
  expect shape("stem") == 8x8x8
  expect not macs within 2.5% of 1.8e9 because "smaller"
}
net other = small(widths=[8, 8, 8], deep=false) { expect params("stage2") > 0 }
"""

WORDS = [*re.findall(r"\w+|->|\*\*|//|[=!<>]=|[^\w\s]", SMALL), "identity", "1e9", "3x3", "-1", "\n", "0"]
TOKEN = re.compile(r"\w+|[^\w\s]+|\s+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with all shipped specs, for one more that imports from them."""
    made = tmp_path_factory.mktemp("specs")
    for path in specs_folder().glob("*.arch"):
        (made / path.name).write_bytes(path.read_bytes())
    return made


@st.composite
def changed(draw: st.DrawFn) -> str:
    """A spec with some of its pieces deleted, doubled, swapped or replaced."""
    texts = [SMALL, *(path.read_text(encoding="utf-8") for path in sorted(specs_folder().glob("*.arch")))]
    text = draw(st.sampled_from([SMALL] * len(texts) + texts))
    pieces = TOKEN.findall(text) if draw(st.booleans()) else list(text)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(pieces)))
        end = min(len(pieces), at + draw(st.sampled_from([1, 1, 1, 2, 3, 5, 20, 200])))
        change = draw(st.sampled_from(["delete", "double", "swap", "replace", "replace", "insert"]))
        if change == "delete":
            pieces[at:end] = []
        elif change == "double":
            pieces[at:at] = pieces[at:end]
        elif change == "swap":
            other = draw(st.integers(0, len(pieces)))
            pieces[at:end], pieces[other:other] = [], pieces[at:end]
        else:
            new = draw(st.sampled_from(WORDS) | st.text(max_size=3))
            pieces[at : end if change == "replace" else at] = [f" {new} " if len(new) > 1 else new]
    return "".join(pieces)


def mistakes(path: Path) -> Sequence[Diagnostic]:
    """What is wrong with a file, or with one of its first nets."""
    try:
        nets = [net for net in load_file(path).nets.values() if not missing_values(net)]
        for net in nets[:4]:
            assert elaborate(net).nodes
    except ArchError as found:
        assert str(found).startswith("error: ")  # noqa: PT017
        return found.diagnostics
    return ()


@settings(
    max_examples=2400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changed())
def test_changed_specs_work_or_say_where_they_are_wrong(folder, text):
    path = folder / "changed.arch"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    for diagnostic in mistakes(path):
        assert diagnostic.message
        assert diagnostic.span is not None, diagnostic
        assert 0 <= diagnostic.span.start <= diagnostic.span.end
        assert diagnostic.span.start <= len(diagnostic.span.source.text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**58, 10**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.fractions()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["widths", "n", "deep", "act", "classes", "x"]), values, max_size=3))
@example({"widths": [[[[[[[[[[1]]]]]]]]]]})
@example({"n": 1e300})
@example({"n": Decimal("0.1")})
@example({"act": "\x1b[2J" * 1000})
@example({"classes": -1})
@example({"classes": 2.5})
@example({"widths": [True, None, 1.5]})
def test_values_of_any_kind(overrides):
    shown = ""
    try:
        assert loads(SMALL, "small", overrides).overridden == bool(overrides)
    except ArchError as found:
        shown = str(found)
    assert shown.startswith("error: ") or not shown
    assert "\x1b" not in shown


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("value", [10**5000, Fraction(1, 10**5000)], ids=["integer", "fraction"])
def test_values_too_long_to_print(value):
    with pytest.raises(ArchError, match="a number has more than 60 digits"):
        loads(SMALL, "small", {"n": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), ENDLESS], ids=["nan", "infinite", "endless"])
def test_values_that_are_no_numbers(value):
    with pytest.raises(ArchError):
        loads(SMALL, "small", {"n": value})


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("\ud800")
@example('net a { input(3x8x8)\n relu\n expect params("\ud800") == 0\n}')
def test_any_text(text):
    try:
        load_text(text)
    except ArchError as found:
        str(found).encode("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are Unicode")
@pytest.mark.parametrize(
    "command",
    [
        "report ODD --format json", "report ODD --format csv -o out.csv", "explain ODD", "spec ODD",
        "report ODD --format markdown -o out.md", "reconcile ODD 7 --format json", "verify ODD --format json",
        "compare ODD lenet5 --format json", "compare ODD lenet5 --format markdown -o out.md",
        "check ODD --format json --summary out.md --junit out.xml", "check ODD --github",
        "audit --claims ODD.toml --format json", "audit --claims ODD.toml -o out.txt",
    ],
)  # fmt: skip
def test_a_name_that_is_no_utf8(run, command):
    odd = os.fsdecode(b"\xff.arch")
    Path(odd).write_text("net tiny { input(1x3x3) -> conv(1, 2)\n expect params == 6 }\n")
    Path(f"{odd}.toml").write_text(
        '[odd]\ntitle = "t"\n[a]\nplace = "p"\nsays = "s"\nprinted = "5"\nverdict = "exact"\n'
        'claim = "params(lenet5) == 61_706"\n'
    )
    status, out, err = run(*command.replace("ODD", odd).split())
    assert status in (0, 1)
    assert not err
    if "json" in command:
        assert json.loads(out)
