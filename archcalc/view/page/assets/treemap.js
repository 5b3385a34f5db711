"use strict";

/* Cost by block: areas that add up to the whole. */

const MAP_HEIGHT = 420;

class Treemap {
  constructor(model, root, go) {
    Object.assign(this, { model, root, go });
    this.box = 0;
    const offered = model.data.quantities.map((quantity, q) => [quantity, q]).filter(([, q]) => model.sums[q][0]);
    this.quantity = (offered.find(([quantity]) => quantity.name === "macs") ?? offered[0] ?? [null, 0])[1];
    const select = element("select", { id: "map-of", onchange: () => { this.quantity = Number(select.value); this.draw(); } },
      ...offered.map(([quantity, q]) => element("option", { value: q, selected: q === this.quantity }, quantity.heading)));
    this.path = element("nav", { class: "crumbs", "aria-label": "Blocks around this one" });
    this.svg = shape("svg", { class: "treemap" });
    this.note = element("p", { role: "status" });
    root.append(element("div", { class: "tools" }, element("label", { for: "map-of" }, "Area"), select), this.path, this.svg, this.note);
    new ResizeObserver(oncePerFrame(() => this.draw())).observe(root);
  }

  open(box) {
    this.box = box;
    this.draw();
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const { model, quantity, box } = this;
    const total = model.sums[quantity][box];
    const outer = [];
    for (let at = box; at >= 0; at = model.parent[at]) outer.unshift(at);
    this.path.replaceChildren(...outer.map((at) => element("button", { type: "button", class: "link", "aria-current": at === box ? "true" : null, onclick: () => this.open(at) }, at ? model.label(at) : model.data.name)));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${MAP_HEIGHT}`);
    this.svg.setAttribute("height", MAP_HEIGHT);
    this.svg.replaceChildren();
    const parts = this.parts(box);
    squarified(parts, this.weigh(), { x: 0, y: 0, width, height: MAP_HEIGHT }).forEach(([part, area], i) => this.tile(part, area, i));
    const noun = model.data.quantities[quantity].heading;
    const sum = parts.reduce((a, part) => a + model.sums[quantity][part], model.data.big ? 0n : 0);
    this.note.textContent = visible(`${parts.length} parts of ${box ? model.name(box) : model.data.name}: ${grouped(sum)} ${noun} in all${sum === total ? "" : `, instead of ${grouped(total)}`}.`);
  }

  /** The parts of a block with a nonzero quantity, largest first. */
  parts(box) {
    const sums = this.model.sums[this.quantity];
    return this.model.children[box].filter((child) => sums[child] > 0).sort((a, b) => compareValues(sums[b], sums[a]) || a - b);
  }

  weigh() { return (box) => Number(this.model.sums[this.quantity][box]); }

  tile(box, area, number) {
    const { model, quantity } = this;
    const isLayer = model.isLayer(box);
    const value = model.sums[quantity][box];
    const share = percent(value, model.sums[quantity][0]);
    const item = shape("g", {
      class: `tile t${number % 6}`, role: "button", tabindex: "0", "data-box": box, transform: `translate(${round(area.x)} ${round(area.y)})`,
      "aria-label": visible(`${model.name(box)}: ${grouped(value)}, ${share} % of the network`),
      onclick: () => this.pick(box),
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.pick(box); } },
    }, shape("rect", { width: round(Math.max(0, area.width - 1.5)), height: round(Math.max(0, area.height - 1.5)) }));
    const inner = { x: 0, y: 18, width: area.width - 1.5, height: area.height - 19.5 };
    if (!isLayer && inner.width > 24 && inner.height > 16) {
      for (const [, part] of squarified(this.parts(box), this.weigh(), inner)) item.append(shape("rect", { class: "inner", x: round(part.x), y: round(part.y), width: round(Math.max(0, part.width)), height: round(Math.max(0, part.height)) }));
    }
    const room = Math.floor((area.width - 10) / 7);
    if (area.height > 17 && room > 3) item.append(shape("text", { "aria-hidden": "true", x: 5, y: 13 }, cut(model.label(box), room)));
    if (area.height > 34 && room > 6) item.append(shape("text", { "aria-hidden": "true", class: "small", x: 5, y: isLayer ? 28 : 30 }, cut(`${short(value)}${share ? ` · ${share} %` : ""}`, room)));
    item.append(shape("title", {}, `${model.name(box)}: ${grouped(value)}, ${share} %`));
    this.svg.append(item);
  }

  pick(box) {
    this.go(box, false);
    if (!this.model.isLayer(box)) this.open(box);
  }
}

/** Squarified rectangles with proportional areas, placed row by row (Bruls et al. 2000). */
function squarified(parts, weigh, room) {
  const total = parts.reduce((sum, part) => sum + weigh(part), 0);
  const scale = total > 0 ? (room.width * room.height) / total : 0;
  const placed = [];
  let { x, y, width, height } = room, i = 0;
  while (i < parts.length && width > 0 && height > 0) {
    const side = Math.min(width, height);
    let sum = 0, best = Infinity, end = i;
    while (end < parts.length) {
      const area = weigh(parts[end]) * scale, next = sum + area;
      const first = weigh(parts[i]) * scale;
      const worst = Math.max((side * side * first) / (next * next), (next * next) / (side * side * area));
      if (worst > best) break;
      [best, sum] = [worst, next];
      end++;
    }
    const thick = sum / side;
    let along = 0;
    for (; i < end; i++) {
      const length = (weigh(parts[i]) * scale) / thick;
      placed.push([parts[i], width >= height ? { x, y: y + along, width: thick, height: length } : { x: x + along, y, width: length, height: thick }]);
      along += length;
    }
    if (width >= height) [x, width] = [x + thick, width - thick];
    else [y, height] = [y + thick, height - thick];
  }
  return placed;
}
