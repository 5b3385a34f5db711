"""`archcalc tables`: the decks' tables, their figures, and how they are written."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schemas import schema

from archcalc import ArchError, __version__
from archcalc.audit.claims import VERDICTS, read_decks
from archcalc.audit.claims import shipped_files as claim_files
from archcalc.audit.tables.documents import to_csv, to_json, to_markdown
from archcalc.audit.tables.layout import HEAD, TableLayout, TablePart, layouts, read_layouts
from archcalc.audit.tables.table import all_tables, evaluate, tables
from archcalc.audit.tables.view import render
from archcalc.audit.tables.words import SIGNS, sized
from archcalc.render.grid import GAP, GridCell, lay_out
from archcalc.report.torchsummary import lines

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def every():
    return {table.layout.name: table for table in all_tables()}


def column(table, name, part=0):
    section = table.sections[part]
    index = section.part.columns.index(name)
    return [row[index] for row in section.rows if index < len(row)]


# --- The figures ------------------------------------------------------------------------------------


def test_every_table_of_the_decks_is_there(every):
    numbers = [table.layout.number for table in every.values()]
    assert {number.partition(".")[0] for number in numbers} == {f"T{n}" for n in range(1, 16)}
    decks = {deck for table in every.values() for deck in table.layout.decks}
    assert decks == {"deck0", "deck1", "deck2", "deck3", "deck4"}


def test_vgg16_in_memory(every):
    """By hand: 224*224 = 50,176 places, and a quarter of them behind each pool."""
    table = every["vgg16-memory"]
    memory = [entry.value for entry in column(table, "Memory")]
    n = 224 * 224
    stages = [(n, 64, 2), (n // 4, 128, 2), (n // 16, 256, 3), (n // 64, 512, 3), (n // 256, 512, 3)]
    by_hand = [n * 3]
    for places, channels, count in stages:
        by_hand += [places * channels] * count + [places * channels // 4]
    assert memory == [*by_hand, 4096, 4096, 1000]
    assert table.sections[0].sums == {"Memory": 15_237_608, "Params": 138_357_544 - 13_416}
    total = next(finding for finding in table.sections[0].below if finding.id == "S4-075")
    assert (total.claimed, total.value, total.verdict) == ("24M", 15_237_608, "discrepant")


def test_resnet_blocks_are_those_of_the_networks(every):
    """ResNet, Table 1: a claim that is off by one block, one width or one kernel would not hold."""
    table = every["resnet-table"]
    for net, repeats in {"34": "3463", "152": ["3", "8", "36", "3"]}.items():
        cells = [entry for entry in column(table, net) if entry.finding is not None and "×" in entry.text]
        assert [entry.text.split("×")[1] for entry in cells] == list(repeats)
        assert all(entry.finding.verdict == "exact" for entry in cells)
    flops = {entry.text: entry for entry in table.sections[0].rows[-1][2:]}
    assert flops["3.6e9"].value == 3_663_761_408
    assert [entry.finding.verdict for entry in flops.values()] == [
        "rounds", "convention", "convention", "rounds", "rounds"
    ]  # fmt: skip


def test_worked_arithmetic_by_the_executor(every):
    results = {
        entry.text: entry.value
        for part in range(7)
        for entry in column(every["worked-arithmetic"], "Result", part)
    }
    # 7+4+3 - (3+3+2) = 6, and the rest of the 3x3 map by the same sum
    assert results["6"] == 6
    assert results["(not printed)"] == ((6, -9, -8), (-3, -2, -3), (-3, 0, -2))
    assert results["65"] == (200 - 100) + 2 * (100 - 100) + (25 - 10)
    assert results["200"] == 200
    assert results["1,6,5\n7,10,9\n7,10,8"] == ((1, 5, 6), (7, 8, 3), (3, 10, 4))


def test_training_on_small_numbers(every):
    """By hand, or by another way through the executor."""
    table = every["worked-training"]
    neuron = [entry.value for entry in column(table, "Neuron", 5)]
    assert neuron == [(0,), (2 * 0 + 7 * 10,), (2 * 6 + 7 * 0,), (2 * 6 + 7 * 10,), 41, (41,)]
    mean, variance, normalized, scaled, alone, later = (entry.value for entry in column(table, "Value", 4))
    assert (mean, variance, alone, later) == (5, 9, ((1,),), ((3,), (1,)))
    assert [round(3 * float(x) + 5, 2) for (x,) in normalized] == [2, 4, 4, 10]
    assert [round((float(x) - 1) / 2 * 3 + 5, 2) for (x,) in scaled] == [2, 4, 4, 10]
    two, one = (column(table, name, 2) for name in table.sections[2].part.columns[1:])
    assert [entry.value for entry in two] == [entry.value for entry in one] == [(-2, 5), (24, 133)]
    # 60,965,224 and 138,357,544 parameters, three times; 1,935,440 and 28,677,072 outputs, twice
    largest = [entry.value for entry in column(table, "Largest batch in 3 GB", 6)]
    assert largest[0] == (3 * 10**9 - 12 * 60_965_224) // (8 * 1_935_440)
    assert largest[1] == (3 * 10**9 - 12 * 138_357_544) // (8 * 28_677_072)
    assert [entry.value for entry in column(table, "Parameters", 7)] == [11_181_642, 512 * 10 + 10]


def test_convolutions_on_small_numbers(every):
    table = every["worked-convolutions"]
    forward, of_kernel, moved, of_input, moved_too, transposed = (
        entry.value for entry in column(table, "Value", 3)
    )
    assert forward == ((1 + 4 + 16 + 21, 2 + 12 + 49), (4 + 6 + 20 + 56, 3 + 14 + 32 + 42))
    assert of_kernel == moved == ((2 + 10 + 12 + 27, 4 + 9 + 63), (8 + 15 + 15 + 72, 6 + 35 + 24 + 54))
    assert of_input == moved_too == transposed
    assert of_input[0] == (2 * 1, 2 * 2 + 5 * 1, 5 * 2)
    largest, average = (entry.value for entry in column(table, "Gradient of the input", 4))
    assert largest == ((0, 10, 0, 0), (0, 0, 20, 0))  # where 5 and 8 are
    assert average == ((Fraction(10, 4),) * 2 + (Fraction(20, 4),) * 2,) * 2
    identity, without, bottleneck, narrow, wide, sources, connections = (
        entry.value for entry in column(table, "Value", 5)
    )
    assert (identity, without) == (((1, 0, 2), (5, 3, 4)), ((0, 0, 0), (0, 0, 0)))
    assert bottleneck == 256 * 64 + 64 * 64 * 9 + 64 * 256 == 69_632
    assert (narrow, wide) == (2 * 64 * 64 * 9, 2 * 256 * 256 * 9)
    assert sources == (1, 2, 3, 4, 5, 6)
    assert connections == tuple(n * (n + 1) // 2 for n in (6, 12, 24, 16))


def test_an_item_of_a_claim(every):
    depth = every["evolution-of-depth"]
    zfnet = depth.sections[0].rows[2]
    assert [(entry.text, entry.value) for entry in (zfnet[1], zfnet[5])] == [
        ("ZFNet()", 8),
        ("(blank)", 62_357_608),
    ]


def test_cells_print_the_figures_of_their_claims(every):
    """A cell may write a figure its own way, but has no number that its claim does not print."""
    checked = 0
    for table in every.values():
        for section in table.sections:
            for entry in (entry for row in section.rows for entry in row):
                if entry.finding is not None and entry.finding.id and "blank" not in entry.text:
                    ours = Counter(re.findall(r"\d+(?:\.\d+)?", entry.text.replace(",", "")))
                    theirs = Counter(re.findall(r"\d+(?:\.\d+)?", entry.finding.claimed.replace(",", "")))
                    split = Counter(re.findall(r"\d+(?:\.\d+)?", entry.finding.claimed))
                    assert ours <= theirs or Counter(re.findall(r"\d+", entry.text)) <= split, entry.text
                    checked += 1
    assert checked > 250


def test_the_claims_of_the_large_tables_all_have_their_cell(every):
    ids = {finding.id for table in every.values() for finding in table.findings}
    claims = [claim.id for deck in read_decks(claim_files()) for claim in deck.claims]

    def between(first, last):
        return claims[claims.index(first) : claims.index(last) + 1]

    for first, last in [
        ("S3-001", "S3-008"), ("S3-030", "S3-045"), ("S4-012", "S4-026"), ("S4-031", "S4-081"),
        ("S4-094", "S4-097"), ("S4-107", "S4-165"), ("S1-030", "S1-040"), ("S1-045", "S1-090"),
        ("S1-093", "S1-096"), ("S2-001", "S2-013"), ("S2-029", "S2-042"), ("S2-054", "S2-077"),
        ("S0-012", "S0-020"), ("S0-026", "S0-029"), ("S0-039", "S0-052"), ("S3-009", "S3-015"),
    ]:  # fmt: skip
        assert set(between(first, last)) <= ids, (first, last)


def test_verdicts_are_those_of_the_claims_and_explained(every):
    for table in every.values():
        for finding in table.findings:
            assert finding.agrees or not finding.id
            assert finding.explanation or finding.verdict in ("exact", "rounds", "open"), finding.claimed


def test_the_listing_has_the_rows_of_the_slide(every):
    section = every["resnet18-torchsummary"].sections[0]
    listed = lines(section.listed)
    for row, line in zip(section.rows, listed, strict=False):
        name, shape, params = row
        assert name.text == line.name
        assert shape.value == line.shape[1:]
        assert params.value == line.params


# --- How they are written ---------------------------------------------------------------------------


def test_the_list(run, golden):
    status, out, err = run("tables")
    assert (status, err) == (0, "")
    golden(GOLDEN / "tables_list.txt", out)
    rows = list(csv.DictReader(io.StringIO(run("tables", "--format", "csv")[1])))
    assert [row["number"] for row in rows] == [layout.number for layout in layouts()]
    assert all(f" {row['name']} " in out for row in rows)
    markdown = run("tables", "--format", "markdown")[1].splitlines()
    assert len(markdown) == 2 + len(rows)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("T4", 80),
        ("T4", 120),
        ("T6", 80),
        ("T6", 200),
        ("T3", 80),
        ("T3", 120),
        ("T7", 80),
        ("T12", 120),
        ("T13", 80),
        ("T14", 120),
        ("T15", 80),
    ],
)
def test_as_people_see_it(run, golden, name, width):
    status, out, err = run("tables", name, width=width)
    assert (status, err) == (0, "")
    golden(GOLDEN / f"tables_{name.lower()}_{width}.txt", out)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_is_too_long_and_no_figure_cut(every, width):
    text = render(list(every.values()), width, colour=False)
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r" $", text, re.MULTILINE)
    assert "\x1b" not in text
    for table in every.values():
        for section in table.sections:
            for entry in (entry for row in section.rows for entry in row):
                if entry.finding is None or (entry.finding.verdict != "open" and section.listed is None):
                    assert all(word in text for word in entry.text.split())
                if section.listed is None and type(entry.value) is int and entry.finding.verdict in SIGNS:
                    assert f"{SIGNS[entry.finding.verdict]} {entry.value:,}" in text


def test_colour_only_adds_to_signs(every):
    chosen = [every["vgg16-memory"], every["resnet18-torchsummary"]]
    plain, coloured = (render(chosen, 100, colour) for colour in (False, True))
    assert "\x1b[1;31m" in coloured  # bold red, of what is wrong
    stripped = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_markdown(run, golden):
    status, out, _ = run("tables", "alexnet-layers", "--format", "markdown")
    assert status == 0
    golden(GOLDEN / "tables_t2_markdown.txt", out)


def test_markdown_of_every_table_is_well_formed(every):
    for table in every.values():
        widths = []
        for line in to_markdown(table, level=3).splitlines():
            if line.startswith("|"):
                widths.append(len(re.findall(r"(?<!\\)\|", line)))
            else:
                assert len(set(widths)) <= 1, line
                widths = []
    assert to_markdown(every["locality"], level=3).startswith("### T12.5 ")


def test_csv_has_printed_computed_and_verdict(every):
    rows = list(csv.DictReader(io.StringIO(to_csv(every["vgg16-memory"]))))
    assert rows[20] == {
        "#": "21", "Layer": "FC", "Shape": "1x1x4096", "Shape computed": "4096", "Shape verdict": "exact",
        "Memory": "4036", "Memory computed": "4096", "Memory verdict": "damaged",
        "Params": "16,777,216", "Params computed": "16777216", "Params verdict": "exact",
    }  # fmt: skip
    assert sum(int(row["Memory computed"]) for row in rows) == 15_237_608
    assert rows[1]["Shape computed"] == "224x224x64"
    for table in every.values():
        parts = to_csv(table).split("\n\n")
        assert len(parts) == len(table.sections)
        for part, section in zip(parts, table.sections, strict=True):
            grid = list(csv.reader(io.StringIO(part)))
            assert len(grid) == 1 + len(section.rows)
            assert {len(row) for row in grid} == {len(grid[0])}
            verdicts = [
                cell
                for row in csv.DictReader(io.StringIO(part))
                for key, cell in row.items()
                if key.endswith(" verdict")
            ]
            assert set(filter(None, verdicts)) <= set(VERDICTS)


def test_json_keeps_to_its_schema(run, every):
    document = json.loads(to_json(list(every.values())))
    jsonschema.validate(document, schema("tables"))
    jsonschema.validate(json.loads(run("tables", "--format", "json")[1]), schema("tables"))
    assert document["archcalc"] == __version__
    (table,) = [table for table in document["tables"] if table["number"] == "T12.6"]
    row = table["parts"][0]["rows"][1]
    assert row[0] == {"printed": "parameters"}
    assert {key: row[1][key] for key in ("printed", "value", "shown", "verdict", "claim")} == {
        "printed": "5M", "value": 6_998_552, "shown": "6,998,552", "verdict": "discrepant", "claim": "S4-099"
    }  # fmt: skip
    assert sum(table["verdicts"].values()) == 8


def test_names_and_numbers(run):
    one = run("tables", "inception-branch")[1]
    assert one == run("tables", "T12.2")[1] == run("tables", "t12.2")[1]
    assert one in run("tables", "T12")[1]
    assert [table.layout.number for table in tables("T12")] == [f"T12.{n}" for n in range(1, 7)]
    assert [table.layout.number for table in tables("T1")] == ["T1"]
    status, out, err = run("tables", "vgg16-memry")
    assert (status, out) == (2, "")
    assert "there is no table `vgg16-memry`" in err
    assert "vgg16-memory" in err


def test_a_file_of_tables(run, tmp_path):
    (tmp_path / "mine.toml").write_text(FINE)
    status, out, err = run("tables", "mine.toml")
    assert (status, err) == (0, "")
    assert "T99 mine: A table of mine" in out
    assert "CS 4644-DL / 7643-A (Zsolt Kira, Georgia Tech)" in " ".join(out.split())
    assert "199,322,768" in out  # 138,357,544 + 60,965,224
    (table,) = json.loads(run("tables", "mine.toml", "--format", "json")[1])["tables"]
    assert table["verdicts"] == {"rounds": 2}
    (tmp_path / "mine.toml").write_text(FINE.replace("S4-079", "S4-790"))
    status, out, err = run("tables", "mine.toml")
    assert (status, out, "there is no claim `S4-790`" in err) == (2, "", True)
    status, out, err = run("tables", "none.toml")
    assert (status, out, "there is no file `none.toml`" in err) == (2, "", True)


def test_a_table_says_whose_decks_print_it(run):
    """As the decks say on their first slides: titles, authors and, where given, institution and year."""
    listed = " ".join(run("tables")[1].split())
    assert "deck2: Session 5: CNNs Overloaded (Varun Sundar, 2018)" in listed
    assert "deck1: Retele Neurale Convolutionale II, Curs 5 deck2:" in listed
    for format in ("table", "markdown"):
        text = " ".join(run("tables", "T12.2", "--format", format)[1].split())
        assert "Network Architectures (Stephan Robert-Nicoud, HEIG-VD/HES-SO, 2024)" in text
        assert "deck4:" not in text


def test_into_a_file(run, tmp_path):
    status, out, _ = run("tables", "T9", "--format", "csv", "-o", "t9.csv")
    assert (status, out) == (0, "")
    assert "4231976" in (tmp_path / "t9.csv").read_text()


def test_sizes_in_the_order_of_a_table():
    assert sized((96, 55, 54), "hwc") == "55×54×96"
    assert sized((4096,), "hwc") == "4096"


# --- Laying out -------------------------------------------------------------------------------------

WORD = st.text("abc7,x", min_size=1, max_size=9)
MARK = st.one_of(st.just(("", "")), st.integers(0, 10**9).map(lambda number: ("≠", f"{number:,}")))
CELLS = st.builds(lambda text, mark: GridCell(text, *mark), st.lists(WORD, max_size=4).map(" ".join), MARK)


@st.composite
def grids(draw):
    columns = draw(st.integers(2, 6))
    heading = [GridCell(draw(WORD)) for _ in range(columns)]
    rows = st.lists(CELLS, min_size=columns, max_size=columns)
    return [heading, *draw(st.lists(rows, min_size=1, max_size=4))]


@given(grids(), st.integers(1, 90))
def test_a_grid_keeps_every_word_whole_and_to_the_width(rows, width):
    def words(cells):
        return Counter(word for cell in cells for word in f"{cell.text} {cell.mark}".split())

    panels = lay_out(rows, width)
    found = Counter()
    for panel in panels:
        for number, line in enumerate("".join(text for text, _ in line) for line in panel):
            if set(line.strip()) != {"─"}:
                found += Counter(line.split())
            longest = [
                max(len(w) for cell in column for w in [*cell.text.split(), cell.mark, ""])
                for column in zip(*rows, strict=True)
            ]
            least = longest[0] + GAP + max(longest[1:])
            assert len(line) <= max(width, least), number
    first = words(row[0] for row in rows)
    others = words(cell for row in rows for cell in row[1:])
    repeated = Counter({word: count * len(panels) for word, count in first.items()})
    assert found == repeated + others


def test_a_short_row_is_spanned_by_its_last_cell():
    rows = [
        [GridCell("a"), GridCell("bb"), GridCell("cc")],
        [GridCell("1"), GridCell("two words more")],
        [GridCell("1"), GridCell("x"), GridCell("y")],
    ]

    def lines(width):
        (panel,) = lay_out(rows, width)
        return ["".join(piece for piece, _ in line).rstrip() for line in panel]

    assert lines(20) == ["a  bb  cc", "─────────", "1  two words more", "1  x   y"]
    assert lines(10) == ["a  bb  cc", "─────────", "1  two", "   words", "   more", "", "1  x   y"]


# --- Mistakes in their data -------------------------------------------------------------------------

FINE = """\
[mine]
number = "T99"
title = "A table of mine"
decks = ["deck4"]
place = "slide 1"
columns = ["Network", "Params"]
rows = [
  ["VGG-16", "138M @S4-079"],
  ["AlexNet", {printed = "61M", claim = 'params(alexnet) ~ 61M'}],
]
sums = ["Params"]
below = [{says = "both", answer = 'params(vgg16) + params(alexnet)'}]
"""


def read(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_layouts(path, "mine.toml")


def test_a_table_of_ones_own(tmp_path):
    (table,) = evaluate(read(tmp_path, FINE))
    total = 138_357_544 + 60_965_224
    assert table.sections[0].sums == {"Params": total}
    assert table.sections[0].below[0].value == total
    assert table.verdicts == {"rounds": 2}


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ('"138M @S4-079"', '"138M @S4-790"', "there is no claim `S4-790`", 8),
        ('number = "T99"', 'number = "99"', "`number` is written `T4` or `T12.1`", 2),
        ('title = "A table of mine"\n', "", "`title` is missing", 1),
        ('decks = ["deck4"]', 'decks = "deck4"', "`decks` is a list of strings", 4),
        ('place = "slide 1"', 'plcae = "slide 1"', "unknown key `plcae`", 5),
        ('number = "T99"', 'numbre = "T99"', "unknown key `numbre`", 2),
        ('place = "slide 1"', '[mine]', "`mine` is declared twice", 5),
        ('place = "slide 1"', '["other/grid"]\nplace = "slide 1"', "`other/grid` is not a part of a", 5),
        ("[mine]", 'number = "T1"\n[mine]', "`number` does not belong to a table", 1),
        ('"138M @S4-079"]', '"138M @S4-079", "x"]', "row 1 has 3 cells, but there are 2", 7),
        ('["VGG-16", "138M @S4-079"]', '["VGG-16", 138]', "a cell is a string, or a table", 7),
        ('["VGG-16", "138M @S4-079"]', '"VGG-16"', "`rows` is a list of rows", 7),
        ('"138M @S4-079"', '"138M @S4-079[0]"', "the value of `S4-079` has no item 0", 8),
        ('sums = ["Params"]', 'sums = ["Parms"]', "no column `Parms` to add up", 11),
        ('sums = ["Params"]', 'sums = ["Network"]', "no column `Network` to add up", 11),
        ("sums =", 'axes = "whc"\nsums =', "`axes` is `chw`, `hwc` or `nchw`", 11),
        ("sums =", 'listing = "vgg61"\nsums =', "`vgg61`", 11),
        ("'params(alexnet) ~ 61M'", "'params(alexnett) ~ 61M'", "there is no network `alexnett`", 9),
        ("alexnet) ~ 61M'", "alexnet) ~ 62M'", 'the verdict `discrepant` needs `because = "..."`', 9),
        ("claim = 'params(alexnet) ~ 61M'", "says = 'so'", "a cell needs `claim`, `restored`", 9),
        ("claim = 'params(", "clam = 'params(", "unknown key `clam`", 9),
        ("claim = 'params(alexnet) ~ 61M'", "claim = 61", "`claim` is a statement or a list", 9),
        ("~ 61M'}", "~ 61M', under = 'params(alexnet) ~ 61M'}", "`under` of a cell needs `variant`", 9),
        ("below = [{", 'below = ["words", {', "`below` can contain only claims", 12),
        ("'params(vgg16) + params", "'parms(vgg16) + params", "unknown quantity or function `parms`", 12),
        ("[mine]", "[mine", "this is not TOML", 1),
    ],
)  # fmt: skip
def test_mistakes_are_pointed_at(tmp_path, old, new, message, line):
    assert old in FINE
    with pytest.raises(ArchError) as caught:
        evaluate(read(tmp_path, FINE.replace(old, new)))
    text = str(caught.value)
    assert message in text
    assert f"mine.toml:{line}:" in text if line else "mine.toml" in text


def test_two_tables_of_one_number(tmp_path):
    with pytest.raises(ArchError, match="two tables are numbered `T99`"):
        read(tmp_path, FINE + FINE.replace("mine", "other"))


def test_a_table_of_several_parts(tmp_path):
    head, grid = FINE.split("place", 1)
    one, two = (f'\n["mine/{title}"]\ntitle = "{title}"\nplace{grid}' for title in ("One", "Two"))
    (table,) = evaluate(read(tmp_path, head + one + two))
    assert [section.part.title for section in table.sections] == ["One", "Two"]
    assert table.verdicts == {"rounds": 4}
    # the grid of the table's own header comes first, without a title
    (table,) = evaluate(read(tmp_path, FINE + two))
    assert [section.part.title for section in table.sections] == ["", "Two"]


def test_several_mistakes_are_told_together(tmp_path):
    broken = FINE.replace("S4-079", "S4-0079").replace("number =", "numbr =")
    with pytest.raises(ArchError) as caught:
        read(tmp_path, broken)
    assert len(caught.value.diagnostics) == 3  # the claim, the unknown key, and the one that is missing


def test_the_page_has_every_key_and_its_example_works(tmp_path):
    page = (ROOT / "docs" / "tables.md").read_text()
    head = {*TableLayout.__struct_fields__} - {"name", "parts", "span", "sources"}
    part = {*TablePart.__struct_fields__}
    assert (head, len(part)) == ({*HEAD}, 9)
    cell = "says printed claim under variant restored evidence answer correct because".split()
    for key in {*head, *part, *cell}:
        assert re.search(rf"\b{key}\b", page), key
    for sign in SIGNS.values():
        assert f"`{sign}`" in page
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (table,) = evaluate(read(tmp_path, example))
    assert table.sections[0].sums == {"Params": 138_357_544 + 60_965_224}
    assert table.verdicts == {"exact": 3, "rounds": 1, "convention": 1, "discrepant": 1}
