"""What the page says a place reads and affects, against NaNs that run through the network in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from archcalc import analyze, loads
from archcalc.executor.execute import RunOptions, execute
from archcalc.network import Network
from archcalc.view.page.write import page_of_network
from browser.visiting import Open

NETS = {
    "dilated": "input(1x13x12) conv(1, 3, padding=2, dilation=2) -> conv(1, 3x2, stride=2x1) -> maxpool(2)",
    "transposed": "input(1x6x7) conv(1, 3, stride=2, padding=1) -> conv_transpose(1, 3, stride=2, padding=1)",
    "branches": "input(1x12x12) x: relu "
    "concat(x -> conv(1, 1x5, padding=0x2), x -> conv(1, 5x1, padding=2x0), x -> conv(1, 3, padding=3, dilation=3))",
    "skip": "input(1x11x11) add(identity, conv(1, 3, padding=1) -> conv(1, 3, padding=1)) -> avgpool(3, stride=2)",
    "upsampled": "input(1x5x6) conv(1, 3, padding=1) -> upsample(scale_factor=2) -> conv(1, 3, padding=1)",
    "line": "input(1x17) conv(1, 3, dilation=3) -> conv(1, 2, stride=2)",
    "volume": "input(1x5x6x7) conv(1, 2x3x2, padding=1) -> conv(1, 2, stride=2)",
}


def affected(network: Network) -> dict[tuple[int, ...], np.ndarray]:
    """For each place of the input, the places of the output that a NaN there reaches."""
    shape = network.inputs["input"].shape
    found = {}
    for place in np.ndindex(*shape[1:]):
        x = np.ones((1, *shape), np.float32)
        x[(0, slice(None), *place)] = np.nan
        run = execute(network, {"input": x}, options=RunOptions(finite=False))
        found[place] = np.isnan(run.outputs["output"][0]).any(axis=0)
    return found


SCRIPT = """() => {
  const box = models[0].boxOf.at(-1), input = models[0].boxOf.find((each) => models[0].isInput(each));
  const reach = new Reach(models[0]);
  const lengths = reach.spatial(input), outs = reach.spatial(box);
  const every = (sizes) => sizes.reduce((list, n) => list.flatMap((place) => Array.from({ length: n }, (_, i) => [...place, i])), [[]]);
  const flat = (region, sizes) => every(sizes).map((place) => (region.some((product) => product.every((mask, a) => mask[place[a]])) ? 1 : 0));
  return {
    forward: every(lengths).map((place) => [place, flat(reach.forward(input, place, box).region, outs)]),
    backward: every(outs).map((place) => [place, flat(reach.backward(box, place).regions.get(models[0].start[input]) ?? [], lengths)]),
    exact: reach.backward(box, outs.map(() => 0)).isExact,
  };
}"""


@pytest.mark.parametrize("name", NETS)
def test_places_read_and_affect_what_nans_say(opened: Open, name: str) -> None:
    head, _, body = NETS[name].partition(") ")
    network = loads(f"net {name} {{ {head})\n{body.replace('relu concat', 'relu' + chr(10) + 'concat')} }}")
    visit = opened(page_of_network(analyze(network)))
    truth = affected(network)
    found = visit.run(SCRIPT)
    assert found["exact"]
    for place, seen in found["forward"]:
        assert seen == truth[tuple(place)].ravel().astype(int).tolist(), place
    for place, seen in found["backward"]:
        expected = [int(reached[tuple(place)]) for reached in truth.values()]
        assert seen == expected, place


def test_pointing_at_a_place_answers(opened: Open) -> None:
    network = loads("net holes { input(1x21x21)\n conv(1, 3, padding=4, dilation=4) }")
    visit = opened(page_of_network(analyze(network)))
    visit.tab("field")
    visit.until("document.querySelector('.answer').textContent")
    assert visit.text(".answer") == (
        "Place (10, 10) of the map reads 9 of 441 places of the input: height 6 to 14, width 6 to 14, with holes."
    )
    map_ = visit.page.locator("canvas[data-side=map]").bounding_box()
    assert map_ is not None
    visit.page.mouse.move(map_["x"] + 3, map_["y"] + 3)
    assert "Place (0, 0) of the map reads 4 of 441 places" in visit.text(".answer")
    visit.page.locator("figure:first-of-type .places input").first.fill("0")
    assert "of the input affects" in visit.text(".answer")


@pytest.mark.parametrize("net", ["densenet40_k12_cifar", "resnet20_cifar", "squeezenet1_0", "mobilenet_v1"])
def test_the_places_in_the_middle_read_what_the_report_says(opened: Open, net: str) -> None:
    from browser.visiting import page_of

    visit = opened(page_of(net))
    wrong = visit.run(
        """() => {
      const reach = new Reach(models[0]), input = models[0].boxOf[0], wrong = [];
      models[0].boxOf.forEach((box, i) => {
        const [, known] = models[0].field(box), outs = reach.spatial(box), lengths = reach.spatial(input);
        if (i % 5 || !known.length || models[0].isInput(box) || !outs.length) return;
        const place = outs.map((n) => Math.floor(n / 2));
        const region = reach.backward(box, place).regions.get(0);
        const { ranges } = hullOf(region);
        ranges.forEach(([first, last], axis) => {
          const begin = place[axis] * known[1][axis] - known[2][axis];
          const expected = [Math.max(0, begin), Math.min(lengths[axis] - 1, begin + known[0][axis] - 1)];
          if (first !== expected[0] || last !== expected[1]) wrong.push([models[0].name(box), first, last, expected]);
        });
      });
      return wrong;
    }"""
    )
    assert wrong == []
