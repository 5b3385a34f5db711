"""Networks that are too large to draw, and pages of two networks."""

from __future__ import annotations

from archcalc import NetworkBuilder, analyze, loads
from archcalc.comparison import compare, open_subjects
from archcalc.comparison.tables import CompareView
from archcalc.layers import Conv2d, ReLU
from archcalc.network import Network
from archcalc.view.page.compared import page_of_comparison
from archcalc.view.page.data import MOST_LAYERS
from archcalc.view.page.write import page_of_network
from browser.visiting import Open


def chain(layers: int) -> Network:
    """A chain without blocks, in which nothing repeats."""
    build = NetworkBuilder("chain")
    x = build.input((2, 4, 4))
    for number in range(layers):
        x = build.add(Conv2d(2, 3, padding=1) if number % 7 % 3 else ReLU(), x)
    return build.finish(x)


def test_too_many_layers_are_drawn_as_blocks(opened: Open) -> None:
    network = chain(MOST_LAYERS + 5)
    profile = analyze(network)
    visit = opened(page_of_network(profile))
    assert "too many to draw" in visit.text("#details .notes")
    sums = visit.run("() => models[0].data.quantities.map((q, i) => [q.name, models[0].sums[i][0]])")
    assert dict(sums)["macs"] == profile.totals.macs
    assert dict(sums)["params"] == profile.totals.params
    visit.run("() => { models[0].openAll(); view.graph.update(); view.go(3); }")
    for tab in ("table", "memory", "field", "treemap"):
        visit.tab(tab)
        visit.page.wait_for_timeout(100)
    assert visit.run("() => models[0].count") < 6000


def test_a_long_chain_is_divided_into_sections(opened: Open) -> None:
    visit = opened(page_of_network(analyze(chain(2500))))
    labels = visit.run(
        "() => models[0].children[0].map((box) => [models[0].kind(box), models[0].label(box)])"
    )
    assert len(labels) < 100
    assert {kind for kind, _ in labels} == {"section"}
    assert visit.run("() => models[0].boxOf.length") == 2501


def test_two_networks_side_by_side(opened: Open) -> None:
    view = CompareView(compare(open_subjects(["resnet50", "resnet50_v1_5"])))
    visit = opened(page_of_comparison(view))
    changed = visit.run(
        "() => models[1].boxOf.filter((box) => view.state(1, box) === 'changed').map((box) => models[1].name(box))"
    )
    assert changed == [pair.name for pair in view.comparison.matching.changed if view.comparison.matching]
    assert visit.page.locator("#graph-pane .s-changed").count() > 4
    visit.page.click("text=Next difference")
    assert visit.text("#details h2") == changed[0]
    assert "stride 2 → 1" in visit.text("#details .notes")
    marked = visit.page.locator("[role=treeitem][aria-selected=true]")
    assert marked.count() == 2  # the layer, and its counterpart
    visit.tab("table")
    account = visit.page.locator(".difference", has_text="Where the difference comes from").inner_text()
    assert "231,211,008" in account


def test_what_was_added_and_removed(opened: Open) -> None:
    view = CompareView(compare(open_subjects(["googlenet", "googlenet_torchvision"])))
    visit = opened(page_of_comparison(view))
    states = visit.run(
        "() => [0, 1].map((side) => models[side].boxOf.map((box) => [models[side].name(box), view.state(side, box)]))"
    )
    matching = view.comparison.matching
    assert matching is not None
    assert {name for name, state in states[0] if state == "removed"} == {
        node.name for node in matching.removed
    }
    assert {name for name, state in states[1] if state == "added"} == {node.name for node in matching.added}


def test_networks_without_a_difference(opened: Open) -> None:
    visit = opened(page_of_comparison(CompareView(compare(open_subjects(["lenet5", "lenet5"])))))
    assert "No difference" in visit.text("#totals")
    visit.page.click("text=Next difference")
    visit.tab("table")


def test_figures_beyond_the_numbers_of_javascript_stay_exact(opened: Open) -> None:
    profile = analyze(loads("net wide { input(100000) -> fc(1000000000) -> fc(999999937) }"))
    visit = opened(page_of_network(profile))
    visit.tab("table")
    assert f"{profile.totals.macs:,}" in visit.page.locator("tfoot td").all_inner_texts()
    visit.run("() => view.color('0')")
    visit.tab("memory")
    visit.page.wait_for_selector("#panel-memory p")
    assert "too many to count exactly" in visit.text("#panel-memory")
    visit.tab("treemap")
    assert f"{profile.totals.macs:,} MACs in all." in visit.text("#panel-treemap [role=status]")
