"""Names from files are data: whatever they contain, the page shows them and nothing runs."""

from __future__ import annotations

import pytest

from archcalc import NetworkBuilder, analyze
from archcalc.layers import Add, Conv2d, ReLU
from archcalc.network import Network
from archcalc.view.page.write import page_of_network
from browser.visiting import Open, Visit

NAMES = {
    "markup": "<img src=x onerror=document.title='run'>",
    "script": "</script><script>document.title='run'</script>",
    "comment": "<!--<script>",
    "quotes": "\"'`${document.title='run'}`\\",
    "entities": "&lt;b&gt; &amp; &#39;",
    "control": "a\nb\tc\x00d\x1b[31m\x7f\u202eevil\u2028",
    "long": "x" * 10_000,
    "template": "{{data}} {{script}} {{style}} {{title}}",
    "surrogate": "name\udcff",
    "prototype": "__proto__",
    "spaces": "  ",
}


def named(name: str) -> Network:
    """A network all of whose names are this one. The builder would refuse some, so they are set behind its back."""
    build = NetworkBuilder("n")
    x = build.input((3, 8, 8))
    with build.group("g"):
        y = build.add(Conv2d(3, 3, padding=1), x)
        z = build.add(ReLU(), y)
    network = build.finish(build.add(Add(), z, x))
    for node in network.nodes:
        node.name = f"{name}/{node.index}" if "g/" in node.name else f"{name}{node.index}"
    network.groups[0].name = name
    network.name = name
    return network


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_text(opened: Open, case: str) -> None:
    name = NAMES[case]
    visit = opened(page_of_network(analyze(named(name)), reference=name))
    assert visit.page.title() != "run"
    for tab in ("table", "memory", "field", "treemap", "graph"):
        visit.tab(tab)
        visit.page.wait_for_timeout(60)
    visit.run("() => view.go(1)")
    visit.page.fill("#search", "relu")
    visit.page.keyboard.press("Enter")
    visit.run("() => { view.show('table'); return [view.table.csv(), view.table.markdown()]; }")
    assert visit.page.title() != "run"
    assert visit.run("() => document.querySelectorAll('img, script').length") == 2
    assert visit.run("() => models[0].data.name") == name
    assert visit.run("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("case", ["markup", "long", "control"])
def test_a_hostile_name_breaks_no_phone(opened: Open, case: str) -> None:
    visit: Visit = opened(page_of_network(analyze(named(NAMES[case]))), width=390)
    assert visit.run("document.documentElement.scrollWidth") <= 390
