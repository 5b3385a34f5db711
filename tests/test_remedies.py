"""Every remedy that a message can show is shown by an example.

A remedy is the text after `help:`. The remedies are found in the source. Those of the language and of the
layers are shown by the specs in `errors/`, those of the commands and of Python by commands and calls below.
While these run, a trace notes which remedies are evaluated.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import test_keras as keras
from test_draw import flat, without_cairo
from test_errors import ERRORS, mistakes
from test_tables import evaluate, read_layouts
from tiny import tiny

import archcalc
from archcalc.convert.same import Difference
from archcalc.diagnostics import ArchError
from archcalc.executor import command as executor_command
from archcalc.executor.execute import RunOptions, execute
from archcalc.language.loader import load_file, load_text
from archcalc.language.standalone import condition_of, constant
from archcalc.layers import KINDS
from archcalc.opened import Opened
from archcalc.opening import loads
from archcalc.pages.folder import write as write_reports
from archcalc.reconcile.figures import parse_figures
from archcalc.render.progress import progress
from archcalc.report.shown import frame_of
from archcalc.view.draw import Wanted, draw

ROOT = Path(archcalc.__file__).parent

LANGUAGE = sorted([*ROOT.glob("language/*.py"), *ROOT.glob("layers/*.py"), ROOT / "builder.py"])
# the help of commands is not a remedy; those for models of PyTorch need it, and are shown in tests/imports
OTHERS = sorted(
    {*ROOT.rglob("*.py")}
    - {*LANGUAGE, ROOT / "cli" / "usage.py"}
    - {*(ROOT / "importing" / "torch_export").glob("*.py")}
)

TABLES = {
    "_HELPS",
    "_ELSEWHERE",
    "_LITERALS",
    "_ABSENT",
    "OF_TENSORS",
    "helps",
    "known",
    "REWRITE",
    "INSTEAD",
}
"""Names of constants that hold remedies."""

FUNCTIONS = re.compile(r"help|^value_in_place$")
"""Names of functions that return remedies."""

OPTIONS = {"Option", "Argument", "Typer", "command", "callback", "echo"}
"""Functions whose `help` is that of the command line."""


class Remedy(NamedTuple):
    """A remedy in the source: its file and place, and the pattern of its text."""

    path: Path
    start: tuple[int, int]
    end: tuple[int, int]
    pattern: str
    constant: bool
    """Does it stand outside functions, where it is evaluated when the module is imported?"""

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.start[0]}: {self.pattern}"


def texts_in(node: ast.expr | None) -> Iterator[ast.Constant | ast.JoinedStr]:
    """The texts that an expression can come to, each piece of a sum by itself."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node  # type: ignore[misc]
    elif isinstance(node, ast.IfExp):
        yield from texts_in(node.body)
        yield from texts_in(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts_in(value)
    elif isinstance(node, ast.Tuple):  # a message and its remedy
        yield from texts_in(node.elts[-1])
    elif isinstance(node, ast.BinOp):
        yield from texts_in(node.left)
        yield from texts_in(node.right)
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from texts_in(value)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "dict.fromkeys":
        yield from texts_in(node.args[1])


def values_in(tree: ast.AST) -> Iterator[ast.expr | None]:
    """The expressions of a module whose values are remedies."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] not in OPTIONS:
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "help")
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {ast.unparse(target) for target in targets}
            if any(name in TABLES or name.lower().endswith("help") for name in names):
                yield node.value
        elif isinstance(node, ast.FunctionDef) and FUNCTIONS.search(node.name):
            yield from (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return))


def remedies_in(path: Path) -> Iterator[Remedy]:
    """The remedies of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    in_functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    # in some versions of Python, one instruction loads a constant and returns it
    returns = {id(node.value): node for node in ast.walk(tree) if isinstance(node, ast.Return)}
    for value in values_in(tree):
        for text in texts_in(value):
            pieces = text.values if isinstance(text, ast.JoinedStr) else [text]
            pattern = "".join(
                re.escape(str(piece.value)) if isinstance(piece, ast.Constant) else ".*" for piece in pieces
            )
            if re.search(r"\w{2}", pattern):
                place = returns.get(id(text), text)
                start = (place.lineno, place.col_offset)
                end = (place.end_lineno or 0, place.end_col_offset or 0)
                yield Remedy(path, start, end, pattern, id(text) not in in_functions)


# --- Which remedies are shown ------------------------------------------------------------------------


@contextmanager
def evaluated(remedies: Iterable[Remedy]) -> Iterator[set[Remedy]]:
    """Which of these texts are evaluated inside. Two may stand on one line, so instructions are looked at."""
    by_file: dict[str, list[Remedy]] = {}
    for remedy in remedies:
        by_file.setdefault(str(remedy.path), []).append(remedy)
    seen: set[Remedy] = set()

    @cache
    def instructions(code: CodeType) -> dict[int, list[Remedy]]:
        """The texts of a function by the offset of what evaluates them."""
        texts = by_file.get(code.co_filename, ())
        found = {}
        for index, (first, last, start, end) in enumerate(code.co_positions()):
            if first is not None and last is not None and start is not None and end is not None:
                here = [text for text in texts if text.start <= (first, start) and (last, end) <= text.end]
                if here:
                    found[2 * index] = here
        return found

    def in_function(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        seen.update(instructions(frame.f_code).get(frame.f_lasti, ()))
        return in_function

    def on_call(frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in by_file or not instructions(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        return in_function

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield seen
    finally:
        sys.settrace(before)


def without_example(remedies: Iterable[Remedy], seen: set[Remedy], shown: str) -> str:
    """The remedies that were not evaluated, or that no reader saw, one on each line."""
    missing = (
        remedy
        for remedy in remedies
        if not (remedy.constant or remedy in seen) or not re.search(remedy.pattern, shown)
    )
    return "\n".join(map(str, missing))


def helps(calls: Iterable[Callable[[], object]]) -> set[str]:
    """The remedies of calls that all end in an error."""
    shown = set()
    for call in calls:
        with pytest.raises(ArchError) as found:
            call()
        shown |= {problem.help for problem in found.value.diagnostics}
    return shown


# --- The language and the layers ---------------------------------------------------------------------


SPECS = [
    path
    for path in sorted(ERRORS.glob("*.arch"))
    if path.stem not in {"limit_of_calls", "limit_of_nodes", "limit_of_steps"}
]
"""The specs with mistakes, but for those that take long to reach a limit and have no remedy."""

FILES = {
    "itself.arch": 'from "itself.arch" import cbr\n',
    "one.arch": 'from "two.arch" import cbr\nblock one { cbr(8) }\n',
    "two.arch": 'from "one.arch" import one\nblock cbr(c) { one }\n',
    "from.arch": "net a from saved\n",
    "shape.arch": 'net a from "m.pt2"(3x8x8)\n',
    "layers.arch": 'net a from "m.pt2" { relu }\n',
    "base.arch": 'net a from "m.pt2"\nnet b = a(3)\n',
    "nowhere.arch": 'from "" import cbr\n',
    "above.arch": 'from "../cbr.arch" import cbr\n',
    "twice.arch": 'from "cbr.arch" import cbr\nfrom "cbr.arch" import cbr\n',
    "unused.arch": 'from "cbr.arch" import cbr\nblock one { relu }\n',
}
"""Files that import, and are wrong: it takes two files to be so."""

NET = "net small(n) {\n  input(3x8x8)\n  conv(n, 3)\n}\n"
NO_PARAMETERS = "net small {\n  input(3x8x8)\n  relu\n}\n"


def outside(folder: Path) -> Iterator[Callable[[], object]]:
    """What shows a remedy and is no spec alone: several files, and values from outside."""
    (folder / "cbr.arch").write_text("block cbr(c) { conv(c, 3) -> relu }\n", encoding="utf-8")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
        yield partial(load_file, folder / name)
    (folder / "latin.arch").write_bytes(b"# Gr\xf6sse\n")
    yield partial(load_file, folder / "latin.arch")
    yield partial(load_file, folder)
    yield partial(load_text, FILES["unused.arch"])
    yield partial(loads, NET)
    yield partial(loads, NET, "", {"m": 1})
    yield partial(loads, NO_PARAMETERS, "", {"m": 1})
    for name, shape in {"left": (3, 8, 8), "input": (1, 3, 8, 8)}.items():
        yield partial(loads, NO_PARAMETERS, inputs={name: shape})
    yield partial(loads, NO_PARAMETERS, inputs=(16, 16, 3))
    yield partial(constant, "relu", "--set act")
    yield partial(condition_of("n", "--where", ["n"]).holds, {"n": 1})


def test_every_remedy_of_the_language_has_an_example(tmp_path) -> None:
    remedies = [remedy for path in LANGUAGE for remedy in remedies_in(path)]
    assert len(remedies) > 200
    with evaluated(remedies) as seen:
        shown = {problem.help for path in SPECS for problem in mistakes(path)}
        shown |= helps(outside(tmp_path))
    missing = without_example(remedies, seen, "\n".join(shown))
    assert not missing, missing


# --- The commands, and Python ------------------------------------------------------------------------

DECK = '[mine]\ntitle = "Mine"\n'
CLAIM = DECK + '[x]\nplace = "p"\nsays = "s"\nprinted = "1%"\nverdict = "exact"\n'
TABLE = (
    '[mine]\nnumber = "T99"\ntitle = "Mine"\nplace = "deck4, p"\n'
    'columns = ["A", "B"]\nrows = [["x", CELL]]\nsums = [SUM]\n'
)

WRONG_CLAIMS = [
    CLAIM,
    DECK,
    "x = 1",
    CLAIM.removeprefix(DECK) + "claim = '1 == 1'\n" + DECK,
    DECK + "[x]\nplace = 'p'\ntop1 = ['vgg16']\n",
    CLAIM + "outside = true\nanswer = '1'",
    CLAIM + "answer = '1'\n[x]\nanswer = '1'",
    *(
        CLAIM + f"claim = '{statement} == 1'"
        for statement in [
            "params", "2 * vgg16", "params('zzz' + 1)", "param(vgg16)",
            "params(3)", "params(zzz)", "params(vgg16(8))", "params(vgg16, 3)",
            "count(vgg16)", 'number(vgg16, "zzz")', "correlation([[1, 2], [3]], [[1]])",
            "max_pool([[1]], 2)", "correlation([[1]], [[1]], padding=1.5)",
            "params(vgg16, freeze=3)", 'sources(vgg16, "fc1")',
            "sources(densenet(n1=400, n2=1, n3=1, n4=1))",
            "forward(3, [1])", 'forward("relu", [[1, 2], [3]])', 'forward("relu", ["a"])',
            'forward("relu", 3)', 'forward("relu", [2 ** 53])', 'forward("output a = relu", [1])',
            'forward("lrn(1000000000)", [[1]])', 'forward("fc(1)", [1])', 'forward("relu", [1], [1])',
            'forward("fc(1)", [1, 2], [[1, 2, 3], 0])', 'gradient("relu", [1], by=1)',
            'gradient("relu", range(600))', 'affected("relu", 0, 0)', 'affected("relu", 3, 3)',
            "dropped(3, 0.5)",
        ]
    ),
]  # fmt: skip
"""Files of claims, each wrong in one way."""

WRONG_TABLES = [
    "",
    "x = 1",
    TABLE.replace("CELL", '"1"').replace("SUM", '"C"'),
    TABLE.replace("CELL", '"1"').replace("SUM", '"A", "zzz"'),
    TABLE.replace("CELL", '{printed = "1", says = "so"}').replace("SUM", '"B"'),
    TABLE.replace("CELL", '"1"').replace("SUM", '"B"').replace("sums", 'axes = "whc"\nsums'),
    TABLE.replace("CELL", '"138M @S4-079[0]"').replace("SUM", '"B"'),
]
"""Files of tables, each wrong in one way; the last one can be read."""

TWO = """\
net two {
  left: input(1x8x8)
  right: input(1x8x8)
  aux side = left -> global_avgpool -> flatten -> fc(2)
  add(left, right) -> conv(1, 3) -> flatten -> fc(2)
}
"""
COMMANDS = r"""
vgg16
compare vgg16 alexnet lenet5 --format html
zzz
conventions thop --set a=1
report --colums
report zzz
report m.h5
report old.keras
report subclass.keras
report unknown.keras
report shapeless.keras
report mobilenet_v3_small.keras
report mobilenet_v3_small.keras --input image=3x64x64
run gated.keras
report mobilenet_v3_small.keras --input 2x3x4x5x6
report m.prototxt
report empty.onnx
report folder/
report folder.onnx
report m.xyz
report empty.arch
report several.arch
report text.arch
report code.arch
report HEAD:zzz.py:make
report tiny.arch:big
report tiny.arch?x
report tiny.arch --set c
report tiny.arch --input true
report tiny.arch --columns layer,count
report tiny.arch --columns zzz
report tiny.arch --sort zzz
report tiny.arch --only zzz
report tiny.arch -o folder
report tiny.arch -o loop.txt
report tiny.arch --convention zzz
spec tiny.arch --copy .
explain tiny.arch stem peak_bytes
explain tiny.arch count
report tiny.arch --columns saved_bytes
report tiny.arch --training --dtype amp
report tiny.arch --training --dtype int8
memory tiny.arch --freeze *
memory tiny.arch --fit 24
memory tiny.arch --arena
memory tiny.arch --dtype int8
memory tiny.arch --inference --checkpoint best
memory tiny.arch --inference --accounting pytorch
memory tiny.arch --accounting pytorch --dtype amp
memory tiny.arch --inference --arena --fit 1GB
memory tiny.arch --inference --dtype amp --weights-dtype int8
compare vgg16
reconcile vgg16
reconcile vgg16 zzz
reconcile vgg16 4.5
reconcile vgg16 4G zzz
audit --claims fine.toml --explain zzz
audit --explain S4-079 --format json
audit --deck zzz
help zzz
layers zzz
lock
lock --update --batch 2
check --locked conflict.lock
report HEAD:zzz.arch
report mobilenet_v3
report opaque.arch
convert tiny.arch -o tiny.arch
audit --claims folder
tables zzz
plots -o x.svg
verify
verify --all --set c=1
check folder
check tiny.arch
check empty.arch
check tiny.arch --github --format json
check --locked --expect macs<5
check --locked --convention thop
check --locked --batch 2
check tiny.arch --allow macs
check tiny.arch --expect zzz<1
check tiny.arch --expect kernel_size<=0.5*vgg16
check tiny.arch --expect macs~0.5*vgg16
check tiny.arch --expect macs<5MB
check tiny.arch --expect "shape<5"
check tiny.arch --expect 'peak_bytes("stem") < 5M'
check two.arch --expect 'params("global_avgpool*") < 5M'
check tiny.arch --expect count<5
check --locked no.lock
check --locked version.lock
check --locked version.lock --allow ''
check --locked version.lock --allow 'zzz 1%'
check --locked version.lock --allow 'shape 1'
check --locked version.lock --allow 'macs'
check --locked version.lock --allow 'macs 5MB'
run two.arch --input a.npy
run two.arch --input left=a.npy
run tiny.arch --input a.npy --input a.npy
run tiny.arch --output x.txt
run tiny.arch --batch 99999999
run tiny.arch --input named.npz
run tiny.arch --input packed.npy
run tiny.arch --weights bare.npz
run tiny.arch --weights none.npz
run tiny.arch --weights other.npz
run tiny.arch --weights a.safetensors
run tiny.arch --input a.png
plots accuracy
draw tiny.arch -o a.pdf
draw tiny.arch -o a.jpg
draw tiny.arch --format png
draw tiny.arch --block fc1
draw tiny.arch --color depth
draw resnet50 --level layers -o a.png --scale 20
sweep vgg16
sweep vgg16 --set classes
sweep vgg16 --set classes=1,,2
sweep vgg16 --set classes=1,1
sweep vgg16 --set classes=1..2:0
sweep vgg16 --set classes=1..
sweep vgg16 --set classes=1,2 --sort -
sweep vgg16 --set classes=5..2
sweep vgg16 --set classes=1..2000000000
sweep vgg16 --set classes=1,2..3000000
sweep vgg16 --set 'classes="a"..2'
sweep vgg16 --set zzz=1,2
sweep mobilenet_v1 --set image=1,2
sweep fixed.arch --set zzz=1,2
sweep vgg16 --set classes=10000000000000000000,2
sweep vgg16 --set batch=0..4
sweep vgg16 --set classes=1,2 --columns shape
sweep vgg16 --set classes=1,2 --columns count
sweep vgg16 --set classes=1,2 --expect 'kernel_size<=3'
sweep two.arch --set input=8,16
sweep mobilenet_v1 --set width=0.1..100:0.0001 --set classes=1..1000000
sweep vgg16 --set classes=1,2 --sort zzz
sweep vgg16 --set a=b --set b=a
solve vgg16 --find classes=1..9 --set batch=1,2
solve vgg16 --find classes=1..2000000 --where 'classes % 2 == 0' --expect 'macs<1'
sweep vgg16 --set classes=1,2 --plot macs
sweep vgg16 --set classes=1,2 --plot macs:params --format csv
sweep vgg16 --set batch=1,2 --expect 'peak_bytes <= 1 * alexnet'
sweep vgg16 --set classes=1,2 --columns saved_bytes --dtype int8
solve vgg16 --find classes=1..9 --expect 'macs<1' --limit 3
sweep mobilenet_v1 --set shallow=true --set width=0.5,1 --plot shallow:macs
sweep values.arch --set k=true,1..24 --plot k:macs
sweep vgg16 --set classes=1,2 --format svg
sweep vgg16 --set classes=1,2 --format parquet
sweep vgg16 --set classes=1,2 --format parquet -o x.parquet
sweep vgg16 --set classes=1,2 --scheduler tcp://127.0.0.1:1
sweep vgg16 --set classes=1,2 --scheduler tcp://127.0.0.1:1 -o data
solve vgg16
solve vgg16 --find classes=1..9
solve vgg16 --find classes=1..9 --minimize macs --maximize macs
solve vgg16 --find classes=1..9 --find batch=1..9 --expect 'macs<1'
formula vgg16 macs
formula vgg16 macs --set classes=1
formula vgg16 macs --set image=1..20
formula efficientnet_b0 params --set width=0.5..2
formula mobilenet_v3_small.keras macs --input 3x64x64 --set input=64..66
""".split("\n")[1:-1]
"""Commands that are wrong, one for each remedy."""


def keras_models(folder: Path) -> None:
    start = keras.layer("InputLayer", "in", [], batch_shape=[None, 4])
    unknown = keras.layer("Masking", "x", [[keras.result("in")]])
    shapeless = keras.chain(("Dense", {"units": 2}))
    del shapeless["config"]["layers"][0]
    keras.written(folder / "subclass.keras", {"class_name": "Net", "config": {}})
    keras.written(folder / "unknown.keras", keras.functional([start, unknown], ["in", 0, 0], ["x", 0, 0]))
    keras.written(folder / "shapeless.keras", shapeless)
    for name in ("gated", "mobilenet_v3_small"):
        shutil.copy(keras.MODELS / f"{name}.keras", folder)


def files(folder: Path) -> None:
    """What the commands read."""
    texts = {
        "tiny.arch": tiny(), "two.arch": TWO, "empty.arch": "block b { relu }\n", "m.xyz": "",
        "m.prototxt": "", "empty.onnx": "?", "m.h5": "", "old.keras": "",
        "several.arch": "net a {\n  input(3)\n  relu\n}\nnet b {\n  input(3)\n  relu\n}\n",
        "fine.toml": CLAIM + "claim = '1 == 1'", "conflict.lock": "<<<<<<< HEAD\n",
        "opaque.arch": 'net n {\n  input(3x8x8)\n  opaque(identity, op="roll", shape=3x8x8)\n}\n',
        "template.arch": "net a(n) {\n  input(3)\n  fc(n)\n}\nnet b = a(2)\n",
        "fixed.arch": "net n {\n  input(3)\n  relu\n}\n",
        "values.arch": "net n(k=1) {\n  input(3)\n  if k == k { relu }\n}\n",
        "text.arch": 'net a from "two.arch"\n', "code.arch": 'net a from "m.py:make"\n',
        "version.lock": "archcalc lock 9\n",
        "a.png": "", "a.safetensors": "",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for kind, wrong in {"claims": WRONG_CLAIMS, "tables": WRONG_TABLES}.items():
        for n, text in enumerate(wrong):
            (folder / f"{kind}{n}.toml").write_text(text, encoding="utf-8")
    (folder / "folder").mkdir()
    (folder / "folder.onnx").mkdir()
    (folder / "folder" / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    keras_models(folder)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "tiny.arch"], ["commit", "-qm", "tiny"]):
        subprocess.run([*git, *command], check=True)
    array = np.zeros((1, 8, 8), np.float32)
    np.save(folder / "a.npy", array)
    np.savez(folder / "named.npz", one=array, other=array)
    (folder / "named.npz").rename(folder / "packed.npy")
    np.savez(folder / "named.npz", one=array, other=array)
    np.savez(folder / "none.npz")
    np.savez(folder / "other.npz", **{"stam/conv1.weight": array})
    with (folder / "bare.npz").open("wb") as stream:
        np.save(stream, array)


def calls(folder: Path) -> Iterator[Callable[[], object]]:
    """Calls from Python that are wrong, in the folder of the files."""
    one, two = archcalc.load("tiny.arch"), archcalc.load("two.arch")
    array = np.zeros((1, 1, 8, 8))
    yield partial(archcalc.analyze, 3)
    yield partial(archcalc.analyze, one, {"c": 3})
    yield partial(archcalc.load, "tiny.arch", inputs="3x8x8")
    yield partial(execute, 3)
    yield partial(execute, two, array)
    yield partial(execute, two, {"left": array})
    yield partial(execute, two, options=RunOptions(keep=["fc1"]))
    yield partial(execute, one, None, [1])
    words = loads("net n { input(1) -> embedding(20_000_000, 1) }")
    yield partial(execute, words, np.array([[16_777_217]]))
    yield partial(frame_of, archcalc.analyze(one))
    yield partial(parse_figures, [])
    yield partial(archcalc.sweep, "vgg16", {"classes": range(3, 1)})
    yield partial(archcalc.sweep, "vgg16", {"classes": []})
    yield partial(archcalc.sweep, "vgg16", {})
    yield partial(archcalc.sweep, loads(NO_PARAMETERS), {"batch": [1, 2]})
    yield partial(write_reports, folder / "folder", {}, progress)
    yield partial(write_reports, folder / "tiny.arch", {}, progress)
    yield partial(draw, archcalc.analyze(flat(480)), Wanted(), "mermaid")
    yield partial(draw, archcalc.analyze(flat(1001)), Wanted(depth=9))
    yield from wrong_onnx()
    *unread, unfit = sorted(folder.glob("tables*.toml"))
    for path in unread:
        yield partial(read_layouts, path, path.name)
    yield lambda: evaluate(read_layouts(unfit, unfit.name))


def wrong_onnx() -> Iterator[Callable[[], object]]:
    """Models that cannot be read, or not as they are asked for."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT

    def model(*nodes: Any, shape: Any = (1, 3, 8, 8), arrays: Any = ()) -> Any:
        x, y = (
            helper.make_tensor_value_info(*each) for each in (("x", float32, shape), ("y", float32, None))
        )
        return helper.make_model(helper.make_graph(nodes, "g", [x], [y], arrays))

    relu = helper.make_node("Relu", ["x"], ["y"])
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    elsewhere = onnx.numpy_helper.from_array(np.zeros((1, 3, 3, 3), np.float32), "w")
    elsewhere.ClearField("raw_data")
    elsewhere.data_location = onnx.TensorProto.EXTERNAL
    elsewhere.external_data.add(key="location", value="w.data")

    class Large:
        def SerializeToString(self) -> bytes:  # noqa: N802, as Protocol Buffers call it
            raise ValueError

    yield partial(archcalc.from_onnx, 3)
    yield partial(archcalc.from_onnx, Large())
    yield lambda: archcalc.from_onnx(model(conv, arrays=[elsewhere])).trained()  # type: ignore[misc]
    yield partial(archcalc.from_onnx, model(helper.make_node("Loop", ["x"], ["y"])))
    yield partial(archcalc.from_onnx, model(helper.make_node("Mystery", ["x"], ["y"])))
    yield partial(archcalc.from_onnx, model(helper.make_node("Relu", ["z"], ["y"])))
    yield partial(archcalc.from_onnx, model(relu, shape=None))
    yield partial(archcalc.from_onnx, model(relu, shape=(1, 3, "h", "w")))
    yield partial(archcalc.from_onnx, model(relu), inputs=(3, 8))
    yield partial(archcalc.from_onnx, model(relu), inputs={"z": (3, 8, 8)})


def too_large(*args: Any) -> None:
    raise MemoryError


def test_every_remedy_of_the_commands_has_an_example(run, tmp_path, monkeypatch) -> None:
    files(tmp_path)
    remedies = [remedy for path in OTHERS for remedy in remedies_in(path)]
    absent = "PIL safetensors matplotlib pandas h5py cairosvg pyarrow distributed"
    for package in absent.split():
        monkeypatch.setitem(sys.modules, package, None)
    commands = [*COMMANDS, *(f"audit --claims claims{n}.toml" for n in range(len(WRONG_CLAIMS)))]
    with evaluated(remedies) as seen:
        shown = ["".join(run(*shlex.split(text), width=400)[1:]) for text in commands]
        shown += helps(calls(tmp_path))
        with monkeypatch.context() as patched:  # a network without a text, which no reader has yet
            patched.setattr(Opened, "texts", lambda self: {})
            shown.append(run("spec", "tiny.arch", width=400).err)
        with monkeypatch.context() as patched:  # a network that no text can say
            patched.setattr("archcalc.convert._difference", lambda network, text: Difference("none"))
            shown.append(run("convert", "tiny.arch", width=400).err)
        with monkeypatch.context() as patched:
            patched.setattr(executor_command, "execute", too_large)
            shown.append(run("run", "tiny.arch", width=400).err)
        for place in ("run.MOST_ROWS", "view.MOST_JSON"):
            with monkeypatch.context() as patched:
                patched.setattr(f"archcalc.sweeping.{place}", 1)
                shown.append(run("sweep", "vgg16", "--set", "batch=1,2", "--format", "json", width=400).err)
        with monkeypatch.context() as patched:
            without_cairo(patched)
            shown.append(run("draw", "tiny.arch", "-o", "a.png", width=400).err)
        with monkeypatch.context() as patched:  # a prediction that is wrong, of a shape that no test has
            patched.setattr(KINDS["relu"], "output_shape", lambda self, *inputs: (1, 2))
            shown += helps([partial(execute, loads("net n {\n  input(5x23)\n  relu\n}"))])
    missing = without_example(remedies, seen, "\n".join(shown))
    assert not missing, missing
