"""The reports: pages that hold together, and a folder that is whole or untouched."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archcalc.pages
from archcalc.audit.claims import VERDICTS
from archcalc.audit.run import audit
from archcalc.catalog import shipped
from archcalc.diagnostics import ArchError
from archcalc.pages.folder import MARK, stale, write
from archcalc.pages.papers_page import by_paper
from archcalc.plots import Plot, find
from archcalc.render.documents import escaped

LINK = re.compile(r"\]\(([^)\s]+)\)")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')


def calm(items, title):
    return items


@pytest.fixture(scope="module")
def with_networks():
    return archcalc.pages.contents(networks=True)


@pytest.fixture(scope="module")
def without_networks():
    return archcalc.pages.contents()


@pytest.fixture(params=["with_networks", "without_networks"])
def files(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def pages(files):
    return {path: text for path, text in files.items() if path.endswith(".md")}


# --- The pages ----------------------------------------------------------------------------------------


def test_every_link_leads_somewhere(files, pages):
    broken = []
    anchors = {path: set(ANCHOR.findall(text)) for path, text in pages.items()}
    for path, text in pages.items():
        for link in LINK.findall(text):
            target, _, anchor = link.partition("#")
            name = os.path.normpath(Path(path).parent / target) if target else path
            if name not in files or (anchor and anchor not in anchors.get(name, set())):
                broken.append((path, link))
    assert broken == []


def test_pages_of_networks_are_written_on_request_only(with_networks, without_networks):
    more = {f"networks/{spec.name}.md" for spec in shipped()}
    assert {*with_networks} == {*without_networks} | more
    assert not more & {*without_networks}
    # these link to the pages of networks where there are some
    changed = {path for path, text in without_networks.items() if with_networks[path] != text}
    assert changed == {"networks.md", "papers.md", "programs.md"}


def test_a_papers_claim_stands_on_the_pages_of_its_networks(with_networks):
    for net, printed in (("shufflenet_v1_g2", "140M"), ("nasnet_a_large", "88.9M"), ("senet154", "42.3B")):
        published = with_networks[f"networks/{net}.md"].partition("## Published figures")[2]
        assert f"`{printed}`" in published, net


def test_every_table_is_a_rectangle(pages):
    for path, text in pages.items():
        width = 0
        is_code = False
        for line in text.splitlines():
            is_code ^= line.startswith("```")
            cells = len(re.sub(r"\\.", "", line).split("|")) if line.startswith("|") and not is_code else 0
            assert not cells or not width or cells == width, (path, line)
            width = cells


def test_every_page_is_marked_and_reached(files, pages):
    assert all(MARK in text for text in pages.values())
    linked = {
        os.path.normpath(Path(path).parent / link.partition("#")[0])
        for path, text in pages.items()
        for link in LINK.findall(text)
    }
    assert set(files) - linked - {"README.md"} == set()


def test_the_audit_has_each_claim_of_the_decks_once(pages):
    found = audit()
    text = pages["audit.md"]
    told = [one for one in found.findings if one.deck not in found.on_request]
    for finding in told:
        anchored = f'<a id="{finding.id}"></a>' in text
        assert anchored == (finding.verdict not in ("exact", "rounds"))
        assert len(re.findall(rf"(?<=[|·]) {finding.id}, ", text)) == 1, finding.id
    assert f"{len(told):,} figures from 5 decks of lecture slides" in text


def test_pages_say_whose_decks_they_check_and_what_verdicts_mean(pages):
    """As the decks say on their slides; what a deck does not state is named."""
    decks = [
        "8. Convolutional Neural Network Architectures | Stephan Robert-Nicoud | HEIG-VD/HES-SO | 2024",
        "Retele Neurale Convolutionale II, Curs 5 | not stated | not stated | not stated",
        "Session 5: CNNs Overloaded | Varun Sundar | not stated | 2018",
        "Convolutional Neural Networks, ECE 449 | not stated | not stated | not stated",
        "Topics: Convolutional Neural Networks, CS 4644-DL / 7643-A | Zsolt Kira | Georgia Tech | not stated",
    ]
    for page, target in (("audit.md", ""), ("README.md", "audit.md")):
        for number, deck in enumerate(decks):
            assert f"\n| [deck{number}]({target}#deck{number}) | {deck} |\n" in pages[page]
    for page in ("audit.md", "papers.md", "programs.md"):
        assert all(f"- **{verdict}**: {meaning}" in pages[page] for verdict, meaning in VERDICTS.items())


def test_in_each_deck_what_does_not_hold_comes_first(pages):
    sections = re.split(r"^## ", pages["audit.md"], flags=re.MULTILINE)[1:]
    _, _, glance, *decks = sections
    assert len(decks) == 5
    wrong = re.findall(r"^\| \[([^]]+)\]\(#\1\) \|", glance, re.MULTILINE)
    assert wrong == [one.id for one in audit().rows(verdicts=["discrepant"])]
    for section in decks:
        headings = re.findall(r"^### (.*) \(", section, re.MULTILINE)
        assert headings[0] == "Does not hold"
        assert section.index("### ") < section.index("<details>")


def test_the_audit_says_that_the_column_of_vgg16_has_another_sum(pages):
    start = pages["audit.md"].index('<a id="S4-075"></a>')
    told = pages["audit.md"][start : start + 600]
    # 224*224*3 + 2*224*224*64 + ... as the slide has its rows
    assert "printed `24M`, computed `15,237,608`" in told
    assert "[T4](tables/vgg16-memory.md)" in told


def test_figures_stand_with_the_paper_that_prints_them(pages):
    found = audit(decks=["papers"])
    papers = by_paper(found.findings, shipped())
    assert sum(len(paper.findings) for paper in papers) == len(found.findings)
    titles = [paper.title for paper in papers]
    assert len(set(titles)) == len(titles)
    dated = [paper.year for paper in papers if paper.year.isdigit()]
    assert dated == sorted(dated)
    assert dated[0] == "1989"
    homes = {finding.id: paper.title for paper in papers for finding in paper.findings}
    # DenseNet-169's 14M are in a table of the EfficientNet paper, its depth in its own
    elsewhere = next(one for one in found.findings if one.place.startswith("EfficientNet, Tan & Le 2019"))
    assert "arXiv:1905.11946" in homes[elsewhere.id]
    assert "arXiv:1608.06993" in homes["densenet169/depth"]
    assert "arXiv:1704.04861" in homes["mobilenet-v1/table-6/mobilenet_v1_0_5_224-top1"]


def test_a_page_of_a_network_has_its_figures_and_what_others_say(with_networks):
    text = with_networks["networks/vgg16.md"]
    assert "**138,357,544**" in text
    assert "| stage1/conv2 | conv(64, 3, padding=1) | 64×224×224 | 5×5 | 36,928 | 1,849,688,064 |" in text
    # Simonyan & Zisserman 2014, Table 2
    assert re.search(r"parameters of vgg16 \| `138M` \| `138,357,544` \| rounds", text)
    assert "[S4-075](../audit.md#S4-075)" in text
    assert "| S0-009 |" in text


def test_large_networks_are_rolled_up(with_networks):
    text = with_networks["networks/resnet1202_cifar.md"]
    assert "lists all 4,211 layers" in text
    assert text.count("\n| size") == 3
    sizes = [len(text.encode()) for path, text in with_networks.items() if path.startswith("networks/")]
    assert max(sizes) < 25_000


@pytest.mark.parametrize(
    ("mode", "vgg16"), [("with_networks", "[vgg16](networks/vgg16.md)"), ("without_networks", "vgg16")]
)
def test_the_overview_has_every_network_with_its_totals(mode, vgg16, request):
    text = request.getfixturevalue(mode)["networks.md"]
    rows = re.findall(r"^\| (?!Network|---)", text, re.MULTILINE)
    assert len(rows) == len(shipped())
    # Simonyan & Zisserman 2014, Table 2: 138M; 15.47 G multiply-adds in torchvision's metadata
    assert f"| {vgg16} | 2014 | 3×224×224 | 138,357,544 | 15,470,264,320 | 16 |" in text
    assert all(escaped(spec.reference) in text for spec in shipped())
    assert "`archcalc report vgg16`" in text


def test_texts_are_the_same_in_another_process(without_networks):
    files = without_networks
    code = (
        "import hashlib, archcalc.pages; files = archcalc.pages.contents()\n"
        "texts = '\\0'.join(f'{p}{t}' for p, t in files.items() if isinstance(t, str))\n"
        "print(hashlib.sha256(texts.encode()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "11", "COLUMNS": "53", "LC_ALL": "C"}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    texts = "\0".join(f"{path}{text}" for path, text in files.items() if isinstance(text, str))
    assert other.stdout.strip() == hashlib.sha256(texts.encode()).hexdigest()


# --- The folder ---------------------------------------------------------------------------------------

names = st.sampled_from(["README.md", "a.md", "b/c.md", "b/d.md", "e/f/g.md", "tables/t.md"])
texts = st.text("xyz\n", max_size=8).map(lambda text: f"{MARK}\n{text}")
contents_of_small_folders = st.dictionaries(names, texts)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents_of_small_folders, contents_of_small_folders)
def test_a_folder_becomes_what_is_asked_for_whatever_it_was(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("reports") / "made"
    assert write(folder, before, calm).written == len(before)
    wrong = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert {line.partition(":")[0] for line in stale(folder, after)} == wrong
    done = write(folder, after, calm)
    assert (done.written, done.removed) == (len(wrong & {*after}), len({*before} - {*after}))
    assert stale(folder, after) == []
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert found == after
    # no folder is left empty, and nothing beside it
    assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())
    assert [path.name for path in folder.parent.iterdir()] in ([], ["made"])


SMALL = {"README.md": f"{MARK}\n\n# One\n", "tables/t.md": f"{MARK}\n", "tables/t.csv": "a,b\n1,2\n"}


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_stale_names_each_file_and_what_is_wrong_with_it(tmp_path):
    folder = tmp_path / "reports"
    assert stale(folder, SMALL) == ["README.md: missing", "tables/t.csv: missing", "tables/t.md: missing"]
    write(folder, SMALL, calm)
    (folder / "README.md").write_bytes(SMALL["README.md"].replace("\n", "\r\n").encode())
    (folder / "tables" / "t.csv").unlink()
    (folder / "more.md").write_text(MARK)
    assert stale(folder, SMALL) == [
        "README.md: out of date", "more.md: no longer generated", "tables/t.csv: missing",
    ]  # fmt: skip


@pytest.mark.parametrize("foreign", ["notes.md", "tables/notes.txt", "tables/other.csv", "plots/mine.svg"])
def test_a_folder_with_other_files_is_not_touched(tmp_path, foreign):
    folder = tmp_path / "reports"
    write(folder, SMALL, calm)
    path = folder / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine\n")
    before = tree(tmp_path)
    with pytest.raises(ArchError, match=f"files that are not reports: `{foreign}`"):
        write(folder, {"README.md": f"{MARK}\nanother\n"}, calm)
    assert tree(tmp_path) == before
    assert f"{foreign}: no longer generated" in stale(folder, SMALL)


def test_a_link_is_not_followed(tmp_path):
    folder = tmp_path / "reports"
    write(folder, SMALL, calm)
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text(MARK)
    (folder / "linked.md").symlink_to(elsewhere)
    with pytest.raises(ArchError, match="not reports: `linked"):
        write(folder, SMALL, calm)
    assert elsewhere.read_text() == MARK


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "reports"
    write(folder, SMALL, calm)
    before = tree(tmp_path)
    from archcalc.pages import folder as module

    put = module._put
    written = []

    def full(path, text):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        put(path, text)

    monkeypatch.setattr(module, "_put", full)
    changed = {path: text + "more\n" for path, text in SMALL.items()}
    with pytest.raises(ArchError, match=r"cannot be written: No space left on device"):
        write(folder, changed, calm)
    assert len(written) == 2
    assert tree(tmp_path) == before


def test_a_folder_where_a_file_belongs_changes_nothing(tmp_path):
    folder = tmp_path / "reports"
    taken = sorted(SMALL)[-1]
    (folder / taken).mkdir(parents=True)
    with pytest.raises(ArchError, match=f"not reports: `{taken}`"):
        write(folder, SMALL, calm)
    assert tree(tmp_path) == {}


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "reports"
    write(folder, SMALL, calm)
    before = tree(tmp_path)
    below = next(path for path in folder.rglob("*") if path.is_dir())
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != below and access(path, mode))
    changed = {path: text + "more\n" for path, text in SMALL.items()}
    with pytest.raises(ArchError, match=f"`{below}` cannot be written: no permission"):
        write(folder, changed, calm)
    assert tree(tmp_path) == before


def test_a_picture_that_cannot_be_drawn_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = tmp_path / "reports"
    with pytest.raises(ArchError, match="needs the package matplotlib"):
        write(folder, {**SMALL, "plots/kinds.svg": find("kinds")}, calm)
    assert not folder.exists()
    assert tree(tmp_path) == {}


def test_a_current_picture_stays_as_it_is_and_needs_no_matplotlib(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "reports"
    plot = find("kinds")
    contents = {**SMALL, "plots/kinds.svg": plot}
    write(folder, contents, calm)
    text = (folder / "plots" / "kinds.svg").read_text()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert stale(folder, contents) == []
    assert write(folder, contents, calm).written == 0
    data = plot.gather()
    other = {**SMALL, "plots/kinds.svg": Plot(plot.name, plot.title, lambda: data[::-1], plot.draw)}
    assert stale(folder, other) == ["plots/kinds.svg: out of date"]
    assert (folder / "plots" / "kinds.svg").read_text() == text


# --- The command --------------------------------------------------------------------------------------


@pytest.fixture
def run(run, monkeypatch):
    def contents(progress, networks):
        return SMALL | {"networks/n.md": f"{MARK}\n"} if networks else SMALL

    monkeypatch.setattr(archcalc.pages, "contents", contents)
    return partial(run, "reports")


def test_write_then_check(run, tmp_path):
    status, out, _ = run("--check")
    assert (status, out.splitlines()[-1]) == (1, "3 of 3 files of `reports` are outdated")
    assert not (tmp_path / "reports").exists()
    assert run()[:2] == (0, "`reports`: 3 written, 0 up to date, 0 removed\n")
    assert run("--check")[:2] == (0, "`reports` is up to date: 3 files\n")
    (tmp_path / "reports" / "README.md").write_text(MARK)
    status, out, _ = run("--check")
    assert (status, out.splitlines()[0]) == (1, "README.md: out of date")
    assert run("reports")[:2] == (0, "`reports`: 1 written, 2 up to date, 0 removed\n")


def test_pages_of_networks_are_written_checked_and_removed(run, tmp_path):
    page = tmp_path / "reports" / "networks" / "n.md"
    assert run("--networks").out == "`reports`: 4 written, 0 up to date, 0 removed\n"
    assert page.exists()
    assert run("--check", "--networks")[:2] == (0, "`reports` is up to date: 4 files\n")
    status, out, _ = run("--check")
    assert status == 1
    assert out.splitlines()[0] == "networks/n.md: no longer generated"
    assert out.splitlines()[-1] == "`--networks` also writes and checks the pages of networks"
    assert run().out == "`reports`: 0 written, 3 up to date, 1 removed\n"
    assert not page.parent.exists()
    assert run("--check")[:2] == (0, "`reports` is up to date: 3 files\n")
    assert run("--check", "--networks").out.splitlines()[0] == "networks/n.md: missing"


def test_a_file_is_no_folder(run, tmp_path):
    (tmp_path / "taken").write_text("")
    for arguments in (["taken"], ["taken", "--check"], ["taken/below"]):
        status, out, err = run(*arguments)
        assert status == 2, arguments
        assert out == ""
        assert err.startswith("error: `")
