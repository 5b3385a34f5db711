"""The lock file: what it holds, what moves, what is refused, and that two writers do no harm."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import ArchError, __version__, load
from archcalc.checking import lock_file
from archcalc.checking.digest import Digest, Move
from archcalc.checking.lock import LayerFigures, Lock, LockedNetwork, LockedPath, figures_of
from archcalc.checking.tolerance import parse_tolerances
from archcalc.quantities import TOTALS, Figures
from archcalc.settings import Settings

GOLDEN = Path(__file__).parent / "golden"

# conv: 3*4*4*5 + 4 = 244, 240 on 8x4; fc in the head: 4*2 + 2; fc: 128*10 + 10
SMALL = """\
net small(c=4, classes=10) {
  input(3x9x10)
  conv(c, 4x5, stride=1x2, padding=1) -> relu
  aux early = global_avgpool -> flatten -> fc(2)
  flatten -> fc(classes)
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.arch").write_text(SMALL)
    return tmp_path


def moves(run, *allowed):
    """What `check --locked` says moved: the text of each, and whether it was allowed."""
    options = [word for text in allowed for word in ("--allow", text)]
    document = json.loads(run("check", "--locked", "--format", "json", *options).out)
    return {f["text"]: f["held"] for net in document["networks"] for f in net["findings"]}


def edit(folder, before, after):
    path = folder / "nets" / "small.arch"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


# --- The file ---------------------------------------------------------------------------------------


def test_the_file(run, folder, golden):
    result = run("lock", "nets/small.arch", "nets/small.arch:small?c=5")
    assert (result.status, result.err) == (0, "")
    assert result.out == "archcalc.lock: 2 networks locked (2 new)\n"
    text = (folder / "archcalc.lock").read_text()
    golden(GOLDEN / "check_lock.txt", text)
    assert "layer conv1 4x8x4 params 244 macs 7,680 flops 15,488\n" in text  # 2*7680 + 4*8*4
    assert "aux fc1 2 params 10 macs 8 flops 18\n" in text
    assert "layer fc2 10 params 1,290 macs 1,280 flops 2,570\n" in text
    assert "total params 1,534\n" in text
    assert "net nets/small.arch:small?c=5\n" in text


def test_it_holds_what_it_locks_and_is_the_same_each_time(run, folder):
    run("lock", "nets", "mobilenet_v2", "googlenet", "mobilenet_v1?width=0.5")
    first = (folder / "archcalc.lock").read_bytes()
    run("lock", "nets", "mobilenet_v2", "googlenet", "mobilenet_v1?width=0.5", "-o", "again.lock")
    assert (folder / "again.lock").read_bytes() == first
    result = run("check", "--locked")
    assert (result.status, result.err) == (0, "")
    assert "4 networks: none moved" in result.out
    assert run("check", "--locked", "archcalc.lock", "again.lock").status == 0


def test_it_is_found_from_wherever_it_is_checked(run, folder, monkeypatch):
    assert run("lock", "nets/", "-o", "nets/archcalc.lock").status == 0
    assert "net small.arch:small\n" in (folder / "nets" / "archcalc.lock").read_text()
    assert run("check", "--locked", "nets/archcalc.lock").status == 0
    monkeypatch.chdir(folder / "nets")
    assert run("check", "--locked").status == 0


NAMES = st.from_regex(r"[a-z]\w{0,6}(/[a-z]\w{0,6}){0,2}", fullmatch=True)
COUNTS = st.integers(0, 10**24)
LAYERS = st.builds(
    LayerFigures,
    st.lists(st.integers(1, 10**9), min_size=1, max_size=4).map(tuple),
    st.tuples(COUNTS, COUNTS, COUNTS),
    st.booleans(),
)
NETS = st.builds(
    LockedNetwork,
    st.from_regex(r"[a-z.]{1,9}:[a-z]{1,5}(\?c=[0-9]&d=\[1, 2\])?", fullmatch=True),
    st.fixed_dictionaries({quantity.name: COUNTS for quantity in TOTALS}).map(Figures),
    st.dictionaries(NAMES, LAYERS, max_size=4),
)

PATHS = st.builds(
    LockedPath,
    st.from_regex(r"[a-z.]{1,9}(/[a-z]{1,5}\.arch)?(\?c=[0-9])?", fullmatch=True),
    st.builds(Settings, batch=st.integers(1, 99), heads=st.booleans()),
)


@settings(max_examples=50)
@given(
    nets=st.lists(NETS, min_size=1, max_size=3, unique_by=lambda net: net.name),
    paths=st.lists(PATHS, max_size=2, unique_by=lambda path: path.name),
)
def test_what_is_written_is_read(nets, paths, tmp_path_factory):
    path = tmp_path_factory.mktemp("lock") / "x.lock"
    lock = Lock(nets, paths, __version__)
    path.write_text(lock_file.to_text(lock))
    assert lock_file.read(path) == lock
    path.write_bytes(lock_file.to_text(lock).replace("\n", "\r\n").encode())
    assert lock_file.read(path) == lock


# --- What moves -------------------------------------------------------------------------------------


def test_a_figure_that_moves_is_named_with_its_layer(run, folder, golden):
    run("lock", "nets")
    edit(folder, "classes=10", "classes=11")
    assert moves(run) == dict.fromkeys(
        (
            "params == 1,534", "weights == 1,520", "macs == 8,960", "flops == 18,186", "activations == 394",
            "activations_in_place == 408", "activation_bytes == 1,576", "param_bytes == 6,136",
            'shape("fc2") == 10', 'params("fc2") == 1,290', 'macs("fc2") == 1,280', 'flops("fc2") == 2,570',
        ),
        False,
    )  # fmt: skip
    result = run("check", "--locked", "--github", width=100)
    assert result.status == 1
    golden(GOLDEN / "check_locked.txt", result.out)
    result = run("check", "--locked", "-v", width=100)
    # 129 parameters more, in fc2
    assert next(line.split() for line in result.out.splitlines() if 'params("fc2")' in line) == [
        "fails", 'params("fc2")', "==", "1,290", "1,419", "+129", "(+10.0%)", "nets/small.arch:5:14",
    ]  # fmt: skip


def test_new_layers_and_lost_ones(run, folder):
    run("lock", "nets")
    edit(folder, "padding=1) -> relu", "padding=1) -> bn -> gelu")
    found = moves(run)
    reasons = run("check", "--locked", "-v", width=120).out
    assert "layer `bn1` is new" in reasons
    assert "layer `gelu1` is new" in reasons
    assert "layer `relu1` is gone" in reasons
    assert 'params("bn1") == 0' in found
    assert "layers == 4" in found


def test_heads_are_locked_too(run, folder):
    run("lock", "nets")
    edit(folder, "fc(2)", "fc(3)")
    assert moves(run) == dict.fromkeys(
        ('shape("fc1") == 2', 'params("fc1") == 10', 'macs("fc1") == 8', 'flops("fc1") == 18'), False
    )


def test_an_input_is_locked_too(run, folder):
    run("lock", "nets")
    edit(folder, "input(3x9x10)", "input(3x9x11)")
    assert 'shape("input") == 3x9x10' in moves(run)


def test_tolerances(run, folder):
    run("lock", "nets")
    edit(folder, "classes=10", "classes=11")
    # params 1534 + 129 (8.4%), macs 8960 + 128 (1.43%)
    found = moves(run, "macs +2%", "params +8%", "flops 257", "shape")
    assert found["macs == 8,960"]
    assert found['macs("fc2") == 1,280']
    assert not found["params == 1,534"]
    assert found['flops("fc2") == 2,570']
    assert found['shape("fc2") == 10']
    everything = ["macs +2%", "params +129", "weights 0.2K", "flops 257", "activations 1"]
    everything += ["activations_in_place 1", "activation_bytes +4", "param_bytes +0.516KB", "shape"]
    assert all(moves(run, *everything).values())
    assert run("check", "--locked", *(f"--allow={text}" for text in everything)).status == 0
    assert not any(moves(run, "macs -2%", "macs +1.42%").values())


@given(
    total=st.integers(0, 10**12), tenths=st.integers(0, 999),
    difference=st.integers(-(10**11), 10**11).filter(bool),
    sign=st.sampled_from(["+", "-", ""]),
)  # fmt: skip
def test_a_tolerance_is_exact(total, tenths, difference, sign):
    (tolerance,) = parse_tolerances([f"macs {sign}{tenths // 10}.{tenths % 10}%"])
    inside = abs(difference) * 1000 <= total * tenths
    towards = {"+": difference > 0, "-": difference < 0, "": True}[sign]
    assert tolerance.covers("macs", total, difference) is (inside and towards)
    assert not tolerance.covers("params", total, difference)


WRONG = {
    "": ("a quantity is missing", 1),
    "mac +1%": ("unknown quantity `mac`", 1),
    "macs": ("an amount is missing", 5),
    "macs +": ("an amount is missing", 7),
    "macs + x": ("an amount is missing", 8),
    "macs +1% or so": ("an amount ends here", 10),
    "macs +1MB": ("so `MB` does not apply", 8),
    "shape 5": ("`shape` has no amount", 7),
    "macs +1.%": ("an amount ends here", 8),
}


@pytest.mark.parametrize("text", WRONG)
def test_malformed_tolerances_point_at_the_character(text):
    with pytest.raises(ArchError) as caught:
        parse_tolerances([text])
    (problem,) = caught.value.diagnostics
    message, column = WRONG[text]
    assert message in problem.message
    assert problem.span.source.position(problem.span.start) == (1, column)


def test_options_that_do_not_go_together(run):
    run("lock", "nets")
    assert run("check", "--allow", "macs 1%").status == 2
    assert run("check", "--locked", "--expect", "macs < 5").status == 2
    assert run("check", "--locked", "--allow", "mcs 1%").status == 2


def test_a_total_that_an_older_lock_does_not_have_is_not_locked(run, folder):
    """Its figure may be anything; the totals that the lock has are checked as before."""
    run("lock", "nets/small.arch", "-o", "nets/x.lock")
    path = folder / "nets" / "x.lock"
    path.write_text(resealed(path.read_text().replace("total depth 2\n", "")))
    assert run("check", "--locked", "nets/x.lock").status == 0
    edit(folder, "flatten -> fc(classes)", "flatten -> fc(8) -> fc(classes)")
    result = run("check", "--locked", "nets/x.lock", "-v")
    assert result.status == 1
    assert "weighted_layers == 2" in result.out
    assert "depth" not in result.out


# --- What a lock says -------------------------------------------------------------------------------


def test_a_lock_says_under_which_conditions_its_figures_were_taken(run, folder):
    options = ["--batch", "3", "--dtype", "float16", "--input", "3x9x20", "--heads", "--set", "c=5"]
    assert run("lock", "nets/small.arch", *options).status == 0
    text = (folder / "archcalc.lock").read_text()
    assert "net nets/small.arch:small?c=5\n" in text
    assert "with batch=3 dtype=float16 heads input:input=3x9x20\n" in text
    # conv: 3*4*5*5 + 5; early: 5*2 + 2; fc: 5*8*9 * 10 + 10
    assert f"total params {305 + 12 + 3610:,}\n" in text
    # the convolution and its activation: 2 x 5*8*9 values, 3 samples, 2 bytes; the input is 3*9*20
    assert f"total peak_bytes {(540 + 360) * 6:,} at conv1\n" in text
    assert run("check", "--locked").status == 0
    for option in (["--batch", "3"], ["--set", "c=5"], ["--heads"], ["--input", "3x9x20"]):
        result = run("check", "--locked", *option)
        assert result.status == 2
        assert "`--locked` takes these options from the lock file" in result.err


def test_a_lock_of_version_1_is_read(run, folder):
    """The lines of a lock as version 1 wrote them."""
    run("lock", "nets/small.arch", "-o", "nets/x.lock")
    path = folder / "nets" / "x.lock"
    lines = path.read_text().replace("archcalc lock 3", "archcalc lock 1").splitlines(keepends=True)
    kept = (line for line in lines if not re.match("total peak_|path |checksum ", line))
    path.write_text(rewritten("".join(kept)))
    assert run("check", "--locked", "nets/x.lock").status == 0
    edit(folder, "classes=10", "classes=11")
    assert 'params("fc2") == 1,290' in run("check", "--locked", "nets/x.lock", "-v").out


COMPACT = """\
net deep() {
  input(3x9x10)
  repeat 6 { unit: { conv(4, 3, padding=1) -> relu } }
  flatten -> fc(7)
}
"""


def moved_in_compact(run, folder, before, after):
    """What a compact lock says moved of layers, in words."""
    (folder / "deep.arch").write_text(COMPACT)
    assert run("lock", "deep.arch", "--compact").status == 0
    assert run("check", "--locked").status == 0
    (folder / "deep.arch").write_text(COMPACT.replace(before, after))
    document = json.loads(run("check", "--locked", "--format", "json").out)
    return [f["reason"] for f in document["networks"][0]["findings"] if "as locked" in f["text"]]


def test_a_compact_lock_is_one_line_of_layers_and_still_names_those_that_moved(run, folder):
    moved = moved_in_compact(run, folder, "fc(7)", "fc(8)")
    assert moved == ["layer `fc1` is now 8 params 2,888 macs 2,880 flops 5,768"]  # 4*9*10*8 + 8
    text = (folder / "archcalc.lock").read_text()
    assert sum(line.startswith("layer") for line in text.splitlines()) == 1
    assert "layers 15 " in text  # the input, 6 x (conv, relu), flatten, fc
    assert moved_in_compact(run, folder, "fc(7)", "fc(7) -> softmax") == ["layer `softmax1` is new"]
    assert moved_in_compact(run, folder, " -> fc(7)", "") == ["1 layer is gone after `flatten1`"]
    assert (
        moved_in_compact(run, folder, "input(3x9x10)\n", "input(3x9x10)\n  bn\n")[0] == "layer `bn1` is new"
    )
    assert moved_in_compact(run, folder, "repeat 6", "repeat 4") == ["4 layers are gone after `unit4/relu1`"]


def test_in_a_compact_lock_the_totals_decide_what_is_allowed(run, folder):
    assert moved_in_compact(run, folder, "fc(7)", "fc(8)")
    totals = "params weights param_bytes macs flops activations activations_in_place activation_bytes"
    allow = [word for name in totals.split() for word in ("--allow", f"{name} +20%")]
    assert run("check", "--locked", *allow).status == 0
    assert run("check", "--locked", *allow[:-2]).status == 1


def test_a_layer_whose_mark_is_the_same_by_chance_is_missed_by_name_only(run, folder, monkeypatch):
    from archcalc.checking import digest

    monkeypatch.setattr(digest, "_mark", lambda layer: "same")
    assert moved_in_compact(run, folder, "fc(7)", "fc(8)") == [
        "a layer moved, but its mark is the same by chance"
    ]


# --- What is refused --------------------------------------------------------------------------------


def rewritten(text: str) -> str:
    """A file, or a part of one, with a checksum that fits, whoever wrote its lines."""
    body = text.partition("checksum sha256")[0]
    return f"{body}checksum sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"


def resealed(text: str) -> str:
    """A file of version 3 with checksums that fit."""
    return "\n".join(map(rewritten, text.split("\n\n")))


REFUSED = {
    "another version": (lambda t: t.replace("lock 3", "lock 4"), "has version 4 of the lock file format"),
    "a figure edited": (lambda t: t.replace("params 244", "params 245"), "edited by hand"),
    "a line deleted": (lambda t: t.replace("total params 1,534\n", ""), "edited by hand"),
    "a blank added": (lambda t: t.replace("\n\nnet", "\n\n\nnet"), "edited by hand"),
    "cut off": (lambda t: t[:-90], "does not end in a checksum"),
    "more after the end": (lambda t: t + "layer x 1\n", "a blank line is missing"),
    "a part without a checksum": (lambda t: t + "\nnet x\n", "does not end in a checksum"),
    "empty": (lambda t: "", "is not a lock file"),
    "something else": (lambda t: "net small {\n", "is not a lock file"),
    "not text": (lambda t: t + "\udcff", "it is not UTF-8 text"),
    "a line of nonsense": (lambda t: resealed(t.replace("total params", "sum params")), "means nothing"),
    "an unknown total": (lambda t: resealed(t.replace("total params", "total prams")), "means nothing here"),
    "a layer twice": (lambda t: resealed(t.replace("layer relu1", "layer conv1")), "means nothing here"),
    "a net twice": (lambda t: t + "\n" + t.split("\n\n")[1], "means nothing here"),
    "a blank line less": (lambda t: t.replace("\n\nnet", "\nnet"), "a blank line is missing"),
    "a blank line at the end": (lambda t: t + "\n", "does not end in a checksum"),
    "two networks in a part": (lambda t: resealed(t.replace("aux", "net a.arch:s\naux", 1)), "one network"),
    "a path after a net": (lambda t: resealed(t.replace("layer relu1", "path x\nlayer relu1")), "nothing"),
    "an escape in a name": (lambda t: resealed(t.replace("layer relu1", "layer \x1b[2Jrelu1")), "nothing"),
    "no net": (lambda t: rewritten(lock_file.HEADER), "locks no network"),
    "a net that is gone": (lambda t: resealed(t.replace(":small\n", ":tall\n")), "has no net `tall`"),
    "a file that is gone": (lambda t: resealed(t.replace("net small.arch", "net no.arch")), "no file"),
    "a name that is gone": (lambda t: resealed(t.replace("net small.arch:", "net x")), "no network"),
    "a digit too many": (lambda t: resealed(t.replace("1,534", "1,534" + ",000" * 5000)), "means nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_as_written_is_refused_with_the_reason(case, run, folder):
    run("lock", "nets/small.arch", "-o", "nets/x.lock")
    damage, reason = REFUSED[case]
    path = folder / "nets" / "x.lock"
    text = path.read_text()
    path.write_bytes(damage(text).encode(errors="surrogateescape"))
    assert path.read_text(errors="ignore") != text or case == "not text"
    result = run("check", "--locked", "nets/x.lock")
    assert result.status == 2
    assert reason in result.err


def test_every_byte_counts(run, folder):
    run("lock", "nets", "-o", "nets/x.lock")
    path = folder / "nets" / "x.lock"
    good = path.read_bytes()
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(ArchError):
            lock_file.read(path)


def test_files_that_cannot_be_read(run, folder):
    (folder / "d").mkdir()
    for name, reason in (("archcalc.lock", "there is no lock file"), ("d", "cannot be read")):
        result = run("check", "--locked", name)
        assert result.status == 2
        assert reason in result.err
    assert run("check", "--locked").status == 2


def test_there_is_no_lock_of_a_part(run, folder):
    (folder / "nets" / "broken.arch").write_text("net x { input(3)\n convv(3) }")
    for arguments in (["nets"], ["vgg11", "nosuch"], ["vgg11", "empty"]):
        (folder / "empty").mkdir(exist_ok=True)
        result = run("lock", *arguments)
        assert result.status == 2
        assert not (folder / "archcalc.lock").exists()
    assert run("lock", "vgg11", "-o", "no/such/folder").status == 2
    assert run("lock").status == 2


def test_broken_networks_are_reported_after_the_rest(run, folder):
    (folder / "nets" / "other.arch").write_text("net other { input(7)\n fc(2) }")
    run("lock", "nets")
    (folder / "nets" / "other.arch").write_text("net other { input(7)\n fcc(2) }")
    edit(folder, "classes=10", "classes=11")
    result = run("check", "--locked", "-v")
    assert result.status == 2
    assert "unknown layer or block `fcc`" in result.err
    assert 'params("fc2") == 1,290' in result.out


def test_a_name_with_a_nul(run, folder):
    """A file whose checksum fits may say anything, also what is the name of no file."""
    path = folder / "archcalc.lock"
    for name in ("nets/sm\0all.arch:small", "len\0et5", "\0/a.arch"):
        run("lock", "nets")
        text = path.read_text()
        path.write_text(resealed(text.replace("net nets/small.arch:small", f"net {name}")))
        result = run("check", "--locked")
        assert result.status == 2
        assert "this line means nothing here" in result.err


# --- Two at once ------------------------------------------------------------------------------------


def test_two_writers_and_a_reader_do_not_corrupt_each_other(run, folder):
    """Each file that is ever seen is whole: one writer's or the other's."""
    run("lock", "nets/small.arch")
    loop = (
        "from pathlib import Path; from archcalc.checking.locking import lock_networks; "
        "from archcalc.checking.lock_file import to_text; from archcalc.render.output import write\n"
        "path = Path('archcalc.lock')\n"
        "for _ in range(150): write(to_text(lock_networks({!r}, path, lambda items, title: items).now), path)"
    )
    nets = (["nets/small.arch"], ["nets/small.arch:small?c=64", "lenet5"])
    writers = [
        subprocess.Popen([sys.executable, "-c", loop.format(names)], cwd=folder, stderr=subprocess.PIPE)
        for names in nets
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(tuple(net.name for net in lock_file.read(folder / "archcalc.lock").networks))
    for writer in writers:
        assert writer.stderr.read() == b""
        assert writer.wait() == 0
    assert seen == {("nets/small.arch:small",), ("nets/small.arch:small?c=64", "lenet5")}
    assert sorted(path.name for path in folder.iterdir()) == ["archcalc.lock", "nets"]


def test_two_summaries_do_not_mix(folder):
    (folder / "nets" / "small.arch").write_text(
        SMALL.replace("classes)\n}", "classes)\n  expect params < 5\n}")
    )
    loop = (
        "from pathlib import Path; from archcalc.render.output import append\n"
        "for n in range(300): append(f'{}{{n}}' * 40 + chr(10), Path('summary.md'))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", loop.format(who)], cwd=folder) for who in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = (folder / "summary.md").read_text().splitlines()
    expected = [f"{who}{n}" * 40 for who in "ab" for n in range(300)]
    assert sorted(lines) == sorted(expected)


def test_the_figures_of_a_network_are_its_profile():
    figures = figures_of("vgg16", load("vgg16"))
    assert figures.totals["params"] == 138_357_544
    assert figures.layers["stage1/conv1"] == LayerFigures((64, 224, 224), (1792, 86_704_128, 176_619_520))


# --- Locking again ----------------------------------------------------------------------------------

OTHER = "net other { input(7)\n fc(2) }\n"


def locked_names(folder):
    return re.findall(r"(?m)^net (.*)$", (folder / "archcalc.lock").read_text())


def test_a_network_is_never_dropped_without_a_word(run, folder):
    run("lock", "nets", "mobilenet_v1?width=0.5")
    result = run("lock", "nets")
    assert result.status == 0
    assert "dropped  mobilenet_v1?width=0.5: use `archcalc lock --update NET...` to keep" in result.out
    assert locked_names(folder) == ["nets/small.arch:small"]


def test_update_locks_again_what_is_locked_and_what_is_new_in_its_folders(run, folder):
    run("lock", "nets", "--batch", "3")
    run("lock", "--update", "mobilenet_v1?width=0.5", "--dtype", "float16")
    (folder / "nets" / "other.arch").write_text(OTHER)
    edit(folder, "classes=10", "classes=11")
    assert run("check", "--locked").status == 1
    result = run("lock", "--update")
    assert result.out.splitlines() == [
        "archcalc.lock: 3 networks locked (1 new, 1 changed, 1 unchanged)",
        "  new  nets/other.arch:other",
        "  changed  nets/small.arch:small: params 1,534 to 1,663, macs 8,960 to 9,088",
    ]
    text = (folder / "archcalc.lock").read_text()
    assert "net nets/small.arch:small\nwith batch=3\n" in text
    assert "net mobilenet_v1?width=0.5\nwith dtype=float16\n" in text
    assert "net nets/other.arch:other\nwith batch=3\n" in text
    assert run("check", "--locked").status == 0
    again = run("lock", "--update")
    assert again.out == "archcalc.lock: 3 networks locked (3 unchanged)\n"
    assert (folder / "archcalc.lock").read_text() == text


def test_update_names_what_is_gone_and_refuses_what_is_broken(run, folder):
    (folder / "nets" / "other.arch").write_text(OTHER)
    run("lock", "nets", "vgg11")
    before = (folder / "archcalc.lock").read_text()
    (folder / "nets" / "small.arch").write_text("net small { convv }")
    result = run("lock", "--update")
    assert result.status == 2
    assert "small.arch:1:" in result.err
    assert (folder / "archcalc.lock").read_text() == before
    (folder / "nets" / "small.arch").write_text(SMALL.replace("net small", "net tall"))
    (folder / "nets" / "other.arch").unlink()
    result = run("lock", "--update")
    assert result.status == 0
    for name in ("small.arch:small", "other.arch:other"):
        assert f"  gone  nets/{name}: it no longer exists\n" in result.out
    assert locked_names(folder) == ["vgg11", "nets/small.arch:tall"]


def test_update_needs_a_lock_and_takes_no_options_without_networks(run, folder):
    assert "there is no lock file" in run("lock", "--update").err
    run("lock", "nets")
    result = run("lock", "--update", "--batch", "3")
    assert result.status == 2
    assert "`--update` takes the options of each network from the lock file" in result.err


def test_update_keeps_a_compact_lock_compact(run, folder):
    run("lock", "nets", "--compact")
    (folder / "nets" / "other.arch").write_text(OTHER)
    edit(folder, "classes=10", "classes=11")
    assert run("lock", "--update").status == 0
    assert not re.search(r"(?m)^layer ", (folder / "archcalc.lock").read_text())
    assert run("check", "--locked").status == 0


def test_a_new_network_in_a_locked_folder_is_mentioned(run, folder):
    run("lock", "nets", "vgg11")
    (folder / "nets" / "other.arch").write_text(OTHER)
    (folder / "nets" / "broken.arch").write_text("net x {")
    result = run("check", "--locked", width=120)
    assert result.status == 0
    assert "Not locked yet: nets/other.arch:other. `archcalc lock --update` adds what is new." in result.out
    document = json.loads(run("check", "--locked", "--format", "json").out)
    (lock,) = document["locks"]
    assert lock == {
        "path": "archcalc.lock", "written_by": __version__, "not_locked": ["nets/other.arch:other"]
    }  # fmt: skip
    assert "::warning title=archcalc.lock::not locked yet" in run("check", "--locked", "--github").out
    run("lock", "nets/small.arch:small")
    assert "Not locked yet" not in run("check", "--locked").out


def test_notes_are_shown(run, folder):
    (folder / "odd.arch").write_text("net odd { input(224x224x3)\n conv(8, 3) }\n")
    result = run("lock", "odd.arch")
    assert result.status == 0
    assert "note: " in result.err
    assert result.err == "".join(
        line + "\n" for line in run("report", "odd.arch", "--format", "csv").err.splitlines()
    )
    assert "note: " in run("check", "--locked").out


# --- Git --------------------------------------------------------------------------------------------


def git(folder, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def merged(run, folder, mine, theirs):
    """Merge two branches that each change a text and lock it; what git says of that."""
    git(folder, "init", "-q", ".")
    run("lock", "nets")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    for branch, change in (("mine", mine), ("theirs", theirs)):
        git(folder, "switch", "-qc", branch, "main")
        change()
        run("lock", "--update")
        git(folder, "commit", "-qam", branch)
    return git(folder, "merge", "mine", "-m", "both")


def test_changes_of_different_networks_merge(run, folder):
    other = folder / "nets" / "other.arch"
    other.write_text(OTHER)
    done = merged(
        run,
        folder,
        lambda: edit(folder, "classes=10", "classes=11"),
        lambda: other.write_text(OTHER.replace("fc(2)", "fc(3)")),
    )
    assert done.returncode == 0, done.stdout
    assert run("check", "--locked").status == 0
    assert locked_names(folder) == ["nets/other.arch:other", "nets/small.arch:small"]


def test_conflict_markers_are_named_and_update_resolves_them(run, folder):
    def theirs():
        edit(folder, "c=4", "c=5")
        (folder / "nets" / "other.arch").write_text(OTHER)
        git(folder, "add", ".")

    done = merged(run, folder, lambda: edit(folder, "classes=10", "classes=11"), theirs)
    assert done.returncode == 1
    path = folder / "nets" / "small.arch"
    path.write_text(SMALL.replace("c=4", "c=5").replace("classes=10", "classes=11"))
    result = run("check", "--locked")
    assert result.status == 2
    assert "error: `archcalc.lock` has conflict markers of git" in result.err
    assert "<<<<<<< HEAD" in result.err
    assert "`archcalc lock --update -o archcalc.lock` locks the networks of both sides again" in result.err
    assert run("lock", "--update").status == 0
    assert sorted(locked_names(folder)) == ["nets/other.arch:other", "nets/small.arch:small"]
    assert run("check", "--locked").status == 0


def test_a_lock_says_which_archcalc_wrote_it(run, folder):
    run("lock", "nets")
    path = folder / "archcalc.lock"
    path.write_text(resealed(path.read_text().replace(f"archcalc {__version__}.", "archcalc 0.0.7.")))
    assert "0.0.7" not in run("check", "--locked").out
    edit(folder, "classes=10", "classes=11")
    shown = run("check", "--locked", width=120).out
    assert f"archcalc.lock was written by archcalc 0.0.7; this is {__version__}." in shown


# --- What a reviewer sees ---------------------------------------------------------------------------

DEEP = """\
net deep {
  input(3x16x16)
  stem: { conv(8, 3, padding=1) -> relu }
  for i in range(40) { conv(8, 3, padding=1) -> relu }
  global_avgpool -> flatten -> fc(10)
}
"""


@pytest.fixture
def deep(run, folder):
    path = folder / "deep.arch"
    path.write_text(DEEP)
    run("lock", "deep.arch")

    def change(before, after):
        assert before in DEEP
        path.write_text(DEEP.replace(before, after))

    return change


def test_a_table_of_moved_figures_is_short_and_says_what_to_do(run, deep):
    deep("fc(10)", "fc(11)")
    for width in (80, 120):
        lines = run("check", "--locked", width=width).out.splitlines()
        assert max(map(len, lines)) <= width
        # one blank line, before the summary
        assert lines.count("") == 1
        assert sum(line.startswith("  moved") for line in lines) <= 5
        assert "If this is intended, `archcalc lock --update` accepts it." in lines
    assert run("lock", "--update").status == 0
    assert run("check", "--locked").status == 0


def test_a_rename_is_told_in_a_line(run, deep):
    deep("stem:", "entry:")
    result = run("check", "--locked", "--summary", "summary.md", "--github")
    assert result.status == 1
    assert "  all totals are unchanged\n  moved  entry: 2 layers renamed, from `stem`" in result.out
    (annotation,) = (line for line in result.out.splitlines() if line.startswith("::"))
    assert "all totals are unchanged%0Aentry: 2 layers renamed" in annotation
    assert "| all totals are unchanged |" in Path("summary.md").read_text()
    assert moves(run) == {'layers("stem/conv1") == 1': False, 'layers("stem/relu1") == 1': False}
    assert run("check", "--locked", "--allow", "layers 0").status == 0
    document = json.loads(run("check", "--locked", "--format", "json").out)
    assert [f["renamed"] for f in document["networks"][0]["findings"]] == ["stem/conv1", "stem/relu1"]


def test_a_layer_of_another_kind_is_not_a_renamed_one(run, deep):
    """Both cost the same: 8 x 16 x 16 operations each."""
    deep("stem: { conv(8, 3, padding=1) -> relu }", "stem: { conv(8, 3, padding=1) -> relu6 }")
    assert {'layers("stem/relu6_1") == 0', 'layers("stem/relu1") == 1'} <= moves(run).keys()


def test_many_moved_layers_are_one_annotation_for_each_network(run, folder, deep):
    (folder / "more.arch").write_text("".join(DEEP.replace("deep", f"deep{i}") for i in range(12)))
    run("lock", "deep.arch", "more.arch")
    (folder / "more.arch").write_text((folder / "more.arch").read_text().replace("3x16x16", "3x18x18"))
    shown = [line for line in run("check", "--locked", "--github").out.splitlines() if line.startswith("::")]
    assert len(shown) == 10
    assert "title=more.arch%3Adeep0::macs was " in shown[0]
    assert "%0Ato accept: archcalc lock --update" in shown[0]
    assert "::and 3 more, of more.arch:deep9, more.arch:deep10, more.arch:deep11" in shown[9]


def test_all_allows_every_total_to_move_and_layers_to_change_within_that(run, folder, deep):
    deep("fc(10)", "fc(11)")
    # params: 8*3*9 + 8 + 40*(8*8*9 + 8) + 90 = 23,674, and 9 more: 0.04%; activations: one of 84,000
    assert run("check", "--locked", "--allow", "all 0.1%").status == 0
    assert run("check", "--locked", "--allow", "all +0.1%").status == 0
    assert run("check", "--locked", "--allow", "all -0.1%").status == 1
    assert run("check", "--locked", "--allow", "all 0.03%").status == 1
    assert run("check", "--locked", "--allow", "all 0.03%", "--allow", "params 9").status == 1  # and weights
    deep("conv(8, 3, padding=1) -> relu }\n  for", "conv(8, 5, padding=2) -> relu }\n  for")
    # 8*3*16 more parameters: 1.6%; multiply-adds 98,304 more of about 6 million
    assert run("check", "--locked", "--allow", "all 2%").status == 0
    assert run("check", "--locked", "--allow", "all 1%").status == 1


def test_the_tolerances_of_the_page_let_a_small_change_through(run, folder):
    """Other pooling and ten more classes: ResNet-18 gets 512*10 + 10 parameters more, 0.04 percent."""
    page = (Path(__file__).parent.parent / "docs" / "checking.md").read_text()
    commands = re.findall(r"(?m)^archcalc (check --locked --allow .*)$", page)
    run("spec", "resnet18", "--copy", ".")
    run("lock", "resnet.arch:resnet18")
    text = (folder / "resnet.arch").read_text()
    (folder / "resnet.arch").write_text(
        text.replace("maxpool(3, s", "avgpool(3, s").replace("=1000", "=1010")
    )
    assert run("check", "--locked").status == 1
    statuses = [run(*shlex.split(command, comments=True)).status for command in commands]
    assert statuses == [0, 0, 1]  # the last one allows no growth


@pytest.mark.parametrize("text", ["all", "all 10", "all 1K", "all +5MB"])
def test_all_takes_a_percentage(text):
    with pytest.raises(ArchError):
        parse_tolerances([text])


@settings(max_examples=60, deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_a_lock_may_name_anything(name, tmp_path_factory):
    """What a file says, with a checksum that fits, ends in an outcome: never in another error."""
    from archcalc.checking.drift import check_locks

    path = tmp_path_factory.mktemp("lock") / "x.lock"
    for net in (name, f"{name}:small", f"small.arch:{name}", f"small.arch:small?{name}"):
        path.write_text(
            lock_file.to_text(Lock([LockedNetwork(net, Figures(params=1), {})], [LockedPath(name)]))
        )
        outcome = check_locks([path], [], lambda items, title: items)
        assert outcome.problems or outcome.failures


@settings(max_examples=200)
@given(
    old=st.lists(st.sampled_from("abcdefgh"), max_size=8),
    now=st.lists(st.sampled_from("abcdefgh"), max_size=8),
)
def test_moves_lead_from_the_old_layers_to_the_new_ones(old, now):
    """Replayed on the old list, the moves give the new one: what is not named is as it was."""
    moved = list(Digest.of(old).moves(Digest.of(now)))
    replayed, at, place = [], 0, 0
    gone = {move.place: move.gone for move in moved if move.gone}
    changed = {move.place: move for move in moved if not move.gone}
    for place in range(len(now) + 1):
        at += gone.get(place, 0)
        if place < len(now):
            move = changed.get(place)
            replayed.append(now[place] if move is not None else old[at])
            at += move is None or not move.new
    assert (replayed, at) == (now, len(old))


def test_one_inserted_layer_is_one_move():
    layers = [f"layer {i}" for i in range(50)]
    found = list(Digest.of(layers).moves(Digest.of([*layers[:20], "x", *layers[20:]])))
    assert found == [Move(20, new=True)]
    assert list(Digest.of(layers).moves(Digest.of(layers[:20] + layers[23:]))) == [Move(20, gone=3)]
