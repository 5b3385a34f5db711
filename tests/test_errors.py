"""Every mistake has its own clear diagnostic: the specs in `errors/`, and what cannot stand in one file.

`errors/<case>.arch` is a broken spec, `errors/<case>.txt` what its reader sees, to the character.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archcalc.checking.evaluate import check
from archcalc.diagnostics import ArchError, Diagnostic, Source, Span, unknown
from archcalc.language.elaborate import elaborate
from archcalc.language.limits import MAX_FILE_BYTES, MAX_FILES
from archcalc.language.loader import load_file, load_text
from archcalc.profile import analyze
from archcalc.readers.arch import missing_values

ERRORS = Path(__file__).parent / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.arch"))

NET = "net small {\n  input(3x8x8)\n  cbr(8)\n}\n"
CBR = "block cbr(c) { conv(c, 3) -> relu }\n"


def found_in(path: Path) -> list[ArchError]:
    """What is wrong with a spec: with its text, or else with each net that can be elaborated."""
    try:
        module = load_file(path, path.name)
    except ArchError as found:
        return [found]
    errors = []
    for net in module.nets.values():
        if not missing_values(net):
            try:
                check(analyze(elaborate(net)))
            except ArchError as found:
                errors.append(found)
    return errors


def mistakes(path: Path) -> list[Diagnostic]:
    """The diagnostics of a spec."""
    return [problem for found in found_in(path) for problem in found.diagnostics]


def diagnostics(path: Path) -> str:
    """What a reader sees of a spec."""
    return "\n\n".join(dict.fromkeys(map(str, found_in(path))))


def write(folder: Path, **files: str) -> Path:
    """Write `main.arch` and others; the path of the first."""
    for name, text in files.items():
        (folder / f"{name}.arch").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.arch"


@pytest.mark.parametrize("case", CASES)
def test_diagnostics(case, golden):
    golden(ERRORS / f"{case}.txt", diagnostics(ERRORS / f"{case}.arch") + "\n")


@pytest.mark.parametrize("case", CASES)
def test_diagnostics_keep_the_standard(case):
    """What holds for all of them: they begin small, end without a full stop, and have a place."""
    text = (ERRORS / f"{case}.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert errors
    assert len(set(text.split("\n\n"))) == len(errors)
    for line in lines:
        kind, _, message = line.partition(": ")
        if kind in ("error", "note", "help"):
            assert message[0] == "`" or not message[0].isupper()
            assert not message.endswith(".")
            assert message.count("`") % 2 == 0
    assert sum(line.lstrip().startswith("--> ") for line in lines) == len(errors)


def test_no_golden_file_without_its_spec():
    assert sorted(path.stem for path in ERRORS.glob("*.txt")) == CASES


# --- Files ------------------------------------------------------------------------------------------


def shown(path: Path, name: str = "main.arch") -> str:
    with pytest.raises(ArchError) as found:
        load_file(path, name)
    return str(found.value)


def test_missing_file(tmp_path):
    assert shown(tmp_path / "main.arch") == "error: there is no file `main.arch`"


def test_folder(tmp_path):
    assert shown(tmp_path, "here") == (
        "error: `here` is a folder\n"
        "help: name an `.arch` file in it"
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n"])
def test_empty_file(tmp_path, text):
    assert shown(write(tmp_path, main=text)) == (
        "error: the file is empty\n"
        " --> main.arch:1:1\n"
        "  |\n"
        "1 |\n"
        "  | ^\n"
        "help: declare a net: `net small { ... }`"
    )


def test_file_of_comments(tmp_path):
    assert shown(write(tmp_path, main="# Nothing yet\n\n# Nor here\n")) == (
        "error: the file defines nothing\n"
        " --> main.arch:1:1\n"
        "  |\n"
        "1 | # Nothing yet\n"
        "  | ^\n"
        "help: declare a net: `net small { ... }`"
    )


def test_not_utf8(tmp_path):
    path = tmp_path / "main.arch"
    path.write_bytes(b"net small {\n  # Gr\xf6sse\n}\n")
    assert shown(path) == (
        "error: `main.arch` is not UTF-8 text: line 2 has the byte 0xf6\n"
        "help: save it as UTF-8"
    )  # fmt: skip


def test_byte_order_mark_and_crlf(tmp_path):
    path = tmp_path / "main.arch"
    path.write_bytes(b"\xef\xbb\xbfnet small {\r\n  input(3x8x8)\r\n  conv(8, 3) ->\r\n  relu\r\n}\r\n")
    assert [node.name for node in elaborate(load_file(path).nets["small"]).nodes] == [
        "input",
        "conv1",
        "relu1",
    ]


def test_lines_of_crlf_are_shown_without_their_ends(tmp_path):
    path = tmp_path / "main.arch"
    path.write_bytes(b"net small {\r\n  input(3x8x8)\r\n  conv(8)\r\n}\r\n")
    assert "3 |   conv(8)\n  |   ^^^^\n" in shown(path)


def test_control_characters_reach_no_terminal(tmp_path):
    text = 'net small {\n  input(3x8x8)\n  conv(8, 3, padding="\x1b[2J")\n  \x07\n}\n'
    assert "\x1b" not in shown(write(tmp_path, main=text), "ma\x1bin.arch")
    assert "\x07" not in shown(write(tmp_path, main=text), "ma\x1bin.arch")


def test_unreadable_file(tmp_path):
    path = write(tmp_path, main=NET)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    assert shown(path) == "error: `main.arch` cannot be read: permission denied"


def test_file_too_large(tmp_path):
    path = tmp_path / "main.arch"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert shown(path) == f"error: `main.arch` has more than {MAX_FILE_BYTES // 2**20} MiB"


def test_many_diagnostics_are_counted(tmp_path):
    text = "net small {\n  input(3x8x8)\n" + "".join(f"  conv(a{n}, 3)\n" for n in range(50)) + "}\n"
    assert shown(write(tmp_path, main=text)).endswith("... and 30 more")


def test_long_lines_are_shown_around_the_place(tmp_path):
    text = "net small { input([" + "1, " * 500 + "oops, " + "1, " * 500 + "1]) }\n"
    excerpt = shown(write(tmp_path, main=text)).splitlines()
    assert excerpt[1] == " --> main.arch:1:1520"
    assert excerpt[3][excerpt[4].index("^") :].startswith("oops,")
    assert len(excerpt[3]) < 170


# --- Imports ----------------------------------------------------------------------------------------


def test_missing_import(tmp_path):
    assert shown(write(tmp_path, main='from "common.arch" import cbr\n' + NET)) == (
        "error: there is no file `common.arch`\n"
        " --> main.arch:1:6\n"
        "  |\n"
        '1 | from "common.arch" import cbr\n'
        "  |      ^^^^^^^^^^^^^"
    )


def test_import_of_what_is_not_defined(tmp_path):
    path = write(tmp_path, main='from "common.arch" import cbrr, cbr, other\n' + NET, common=CBR)
    assert shown(path) == (
        "error: `common.arch` does not define `cbrr`\n"
        " --> main.arch:1:27\n"
        "  |\n"
        '1 | from "common.arch" import cbrr, cbr, other\n'
        "  |                           ^^^^\n"
        "help: did you mean `cbr`?\n"
        "\n"
        "error: `common.arch` does not define `other`\n"
        " --> main.arch:1:38\n"
        "  |\n"
        '1 | from "common.arch" import cbrr, cbr, other\n'
        "  |                                      ^^^^^"
    )


def test_import_that_is_never_used(tmp_path):
    net = "net small {\n  input(3x8x8)\n  relu\n}\n"
    assert shown(write(tmp_path, main='from "common.arch" import cbr\n' + net, common=CBR)) == (
        "error: the import `cbr` is never used\n"
        " --> main.arch:1:27\n"
        "  |\n"
        '1 | from "common.arch" import cbr\n'
        "  |                           ^^^\n"
        "help: remove it"
    )


def test_import_twice(tmp_path):
    main = 'from "common.arch" import cbr\nfrom "common.arch" import cbr\n' + NET
    assert shown(write(tmp_path, main=main, common=CBR)) == (
        "error: `cbr` is imported twice\n"
        " --> main.arch:2:27\n"
        "  |\n"
        '2 | from "common.arch" import cbr\n'
        "  |                           ^^^\n"
        "note: the first import is here (main.arch:1:27)\n"
        "help: remove one"
    )


def test_import_and_definition_of_one_name(tmp_path):
    main = 'from "common.arch" import cbr\n' + CBR + NET
    assert "note: `cbr` is defined here (main.arch:1:27)" in shown(write(tmp_path, main=main, common=CBR))


def test_import_of_itself(tmp_path):
    assert shown(write(tmp_path, main='from "main.arch" import cbr\n' + NET)) == (
        "error: `main.arch` imports itself\n"
        " --> main.arch:1:6\n"
        "  |\n"
        '1 | from "main.arch" import cbr\n'
        "  |      ^^^^^^^^^^^\n"
        "help: remove the import"
    )


def test_circular_import(tmp_path):
    one = 'from "two.arch" import cbr\nblock one { cbr(8) }\n'
    two = 'from "one.arch" import one\nblock cbr(c) { one -> conv(c, 3) }\n'
    main = 'from "one.arch" import one\n' + NET.replace("cbr(8)", "one")
    path = write(tmp_path, main=main, one=one, two=two)
    assert shown(path) == (
        "error: `one.arch` imports itself through `two.arch`\n"
        " --> two.arch:1:6\n"
        "  |\n"
        '1 | from "one.arch" import one\n'
        "  |      ^^^^^^^^^^\n"
        "help: move the shared definitions to a third file"
    )


def test_mistakes_in_an_imported_file_are_reported_once(tmp_path):
    main = 'from "one.arch" import one\nfrom "two.arch" import two\n'
    main += "net small {\n  input(3x8x8)\n  one -> two -> rleu\n}\n"
    one = 'from "common.arch" import cbr\nblock one { cbr(8) }\n'
    two = 'from "common.arch" import cbr\nblock two { cbr(8) }\n'
    text = shown(write(tmp_path, main=main, one=one, two=two, common="block cbr(c) { cnov(c, 3) -> relu }\n"))
    assert [line for line in text.splitlines() if line.startswith(("error", " -->"))] == [
        "error: unknown layer or block `cnov`",
        " --> common.arch:1:16",
        "error: unknown layer or block `rleu`",
        " --> main.arch:5:17",
    ]


@pytest.mark.parametrize("path", ["../x.arch", "/etc/passwd", "sub/../../x.arch", "..", "."])
def test_import_outside_the_folder(tmp_path, path):
    (tmp_path / "x.arch").write_text(CBR, encoding="utf-8")
    (tmp_path / "specs" / "sub").mkdir(parents=True)
    text = shown(write(tmp_path / "specs", main=f'from "{path}" import cbr\n' + NET))
    assert text == (
        "error: an imported file must be in the folder of the loaded file, or below it\n"
        " --> main.arch:1:6\n"
        "  |\n"
        f'1 | from "{path}" import cbr\n'
        f"  |      {'^' * (len(path) + 2)}\n"
        "help: move the file there, or load a file in a folder above both"
    )


def test_import_through_a_link_to_the_outside(tmp_path):
    (tmp_path / "x.arch").write_text(CBR, encoding="utf-8")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "x.arch").symlink_to(tmp_path / "x.arch")
    (tmp_path / "specs" / "up").symlink_to(tmp_path)
    for path in ("x.arch", "up/x.arch"):
        text = shown(write(tmp_path / "specs", main=f'from "{path}" import cbr\n' + NET))
        assert text.startswith("error: an imported file must be in the folder of the loaded file")


def test_import_from_below_and_back(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.arch").write_text('from "../common.arch" import cbr\nblock two { cbr(8) }\n')
    path = write(
        tmp_path, main='from "sub/inner.arch" import two\n' + NET.replace("cbr(8)", "two"), common=CBR
    )
    assert [node.name for node in elaborate(load_file(path).nets["small"]).layers] == [
        "two1/cbr1/conv1",
        "two1/cbr1/relu1",
    ]


def test_loop_of_links(tmp_path):
    (tmp_path / "a.arch").symlink_to(tmp_path / "b.arch")
    (tmp_path / "b.arch").symlink_to(tmp_path / "a.arch")
    reason = "too many levels of symbolic links"
    assert shown(tmp_path / "a.arch", "a.arch") == f"error: `a.arch` cannot be read: {reason}"
    text = shown(write(tmp_path, main='from "a.arch" import cbr\n' + NET))
    assert text.startswith(f"error: `a.arch` cannot be read: {reason}\n --> main.arch:1:6\n")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "the import does not name a file"),
        ("sub", "`sub` is a folder"),
        (r"sub\\x.arch", r"`sub\x.arch` is not a file name"),
    ],
)
def test_import_of_no_file(tmp_path, path, message):
    (tmp_path / "sub").mkdir()
    assert shown(write(tmp_path, main=f'from "{path}" import cbr\n' + NET)).startswith(f"error: {message}\n")


def test_text_cannot_import():
    with pytest.raises(ArchError, match="only a file can import"):
        load_text('from "common.arch" import cbr\n' + NET)


def test_too_many_imports(tmp_path):
    for n in range(MAX_FILES + 5):
        text = f'from "f{n + 1}.arch" import cbr{n + 1}\nblock cbr{n} {{ cbr{n + 1} }}\n'
        (tmp_path / f"f{n}.arch").write_text(text, encoding="utf-8")
    assert shown(tmp_path / "f0.arch", "f0.arch").startswith(
        f"error: the file imports more than {MAX_FILES} files\n"
    )


# --- Values from outside ----------------------------------------------------------------------------

LIMITED = "net small(n=1) {\n  input(3x8x8)\n  conv(n, 3)\n}\n"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**60, "a number has more than 60 digits"),
        ((0,) * 100_001, "a list has more than 100,000 values, including nested lists"),
        (((((((((((1,),),),),),),),),),), "lists are nested more than 8 levels deep"),
        ("x" * 501, "a string has more than 500 characters"),
        (None, "it is a NoneType"),
        (1.5, "it is a float"),
        ({1: 2}, "it is a dict"),
    ],
)
def test_values_outside_the_limits(value, reason):
    with pytest.raises(ArchError) as found:
        elaborate(load_text(LIMITED).nets["small"], {"n": value})
    assert str(found.value) == (
        f"error: `n` cannot have this value: {reason}\nnote: `n` is declared here (<text>:1:11)"
    )


def test_unknown_parameter():
    net = load_text(LIMITED).nets["small"]
    with pytest.raises(ArchError) as found:
        elaborate(net, {"m": 1})
    assert str(found.value) == "error: `small` has no parameter `m`\nhelp: it has `n`"


def test_shapes_for_inputs():
    net = load_text("net small {\n  a: input(3x8x8)\n  relu -> add(identity, identity)\n}\n").nets["small"]
    assert elaborate(net, inputs={"a": (1, 4, 4)})["relu1"].shape == (1, 4, 4)
    with pytest.raises(ArchError) as found:
        elaborate(net, inputs={"b": (1, 4, 4)})
    assert str(found.value) == "error: `small` has no input `b`\nhelp: it has `a`"
    with pytest.raises(ArchError) as found:
        elaborate(net, inputs={"a": (1, 0, 4)})
    assert str(found.value).startswith(
        "error: the input `a` cannot have the given shape: `input` needs a whole number of at least 1"
    )


def test_an_unknown_name_has_a_near_one_or_a_list_of_them():
    def help(name: str, known: list[str], **options: str) -> str:
        (problem,) = unknown("there is no pet", name, known, **options).diagnostics
        assert problem.message == f"there is no pet `{name}`"
        return problem.help

    pets = ["cat", "dog", "canary"]
    assert help("canry", pets, listing="pets", help="get one") == "did you mean `canary`?"
    assert help("eel", pets, listing="pets") == "pets: cat, dog, canary"
    assert help("eel", pets, help="get one") == "get one"
    assert help("eel", pets) == ""
    assert help("eel", [], listing="pets") == ""
    span = Span(Source("<test>", "eel"), 0, 3)
    assert unknown("there is no pet", "eel", pets, span).diagnostics[0].span is span
