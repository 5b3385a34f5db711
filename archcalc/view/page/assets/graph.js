"use strict";

/* The graph. Only boxes that are open and in the window are SVG elements; the model has the rest. Keyboard
   and search work on the model, and then the window follows. */

const MARGIN = 500;
const LEVELS = 6;
let graphs = 0;

class Graph {
  constructor(model, select, status = null) {
    this.model = model;
    this.layout = new Layout(model);
    this.select = select;
    this.status = status;
    this.id = `graph${graphs++}`;
    this.scale = 1;
    this.selected = -1;
    this.coloring = { kind: "family" };
    this.measured = () => {};
    this.build();
  }

  build() {
    this.sheet = element("div", { class: "sheet", role: "none" });
    this.svg = shape("svg", { class: "drawing", role: "none" });
    this.sheet.append(this.svg);
    this.scroller = element("div", {
      class: "graph", id: this.id, tabindex: "0", role: "tree", "aria-label": `Graph of ${this.model.data.name}`,
      onkeydown: (event) => this.key(event),
      onclick: (event) => this.click(event),
      ondblclick: (event) => this.doubleClick(event),
      onscroll: oncePerFrame(() => this.draw(false)),
    }, this.sheet);
    new ResizeObserver(oncePerFrame(() => this.draw(false))).observe(this.scroller);
  }

  /** Redo the layout after something was opened or closed. `keep` is a box that keeps its position. */
  update(keep = -1) {
    const isPlaced = () => keep > 0 && this.layout.placed.has(this.model.parent[keep]);
    const before = isPlaced() ? this.corner(keep) : null;
    const left = this.scroller.scrollLeft, top = this.scroller.scrollTop;
    const hadSize = Boolean(this.size);
    this.size = this.layout.run();
    this.positions = null;
    this.measure();
    this.resize();
    if (before && isPlaced()) {
      const after = this.corner(keep);
      this.scroller.scrollLeft = left + (after.x - before.x) * this.scale;
      this.scroller.scrollTop = top + (after.y - before.y) * this.scale;
    } else if (!hadSize) this.center();
    this.draw(true);
  }

  center() {
    this.scroller.scrollLeft = (this.size.width * this.scale - this.scroller.clientWidth) / 2;
  }

  resize() {
    this.sheet.style.width = `${this.size.width * this.scale}px`;
    this.sheet.style.height = `${this.size.height * this.scale}px`;
  }

  zoom(factor) {
    const { scroller } = this;
    const x = (scroller.scrollLeft + scroller.clientWidth / 2) / this.scale;
    const y = (scroller.scrollTop + scroller.clientHeight / 2) / this.scale;
    this.scale = Math.min(3, Math.max(0.08, this.scale * factor));
    this.resize();
    scroller.scrollLeft = x * this.scale - scroller.clientWidth / 2;
    scroller.scrollTop = y * this.scale - scroller.clientHeight / 2;
    this.draw(true);
  }

  fit() {
    const { scroller, size } = this;
    const width = (scroller.clientWidth - 8) / size.width, height = (scroller.clientHeight - 8) / size.height;
    this.scale = Math.min(1.25, Math.max(0.08, Math.min(width, Math.max(height, 0.45))));
    this.resize();
    this.center();
    this.draw(true);
  }

  /** The corner and size of a visible box. */
  position(box) {
    const { width, height } = this.layout.size(box);
    return { ...this.corner(box), width, height };
  }

  corner(box) {
    if (!this.positions) this.positions = new Map([[0, { x: 0, y: 0 }]]);
    const chain = [];
    for (let at = box; !this.positions.has(at); at = this.model.parent[at]) chain.push(at);
    while (chain.length) {
      const at = chain.pop(), parent = this.model.parent[at];
      const outer = this.positions.get(parent);
      const inner = this.layout.placed.get(parent).inner[this.place(at)];
      this.positions.set(at, { x: outer.x + inner.x, y: outer.y + inner.y });
    }
    return this.positions.get(box);
  }

  /** The index of a box among the children of its block. */
  place(box) {
    this.places ??= new Int32Array(this.model.count).fill(-1);
    if (this.places[box] < 0) this.model.children[this.model.parent[box]].forEach((child, i) => (this.places[child] = i));
    return this.places[box];
  }

  // --- Color -----------------------------------------------------------------------------------------

  color(coloring) {
    this.coloring = coloring;
    this.measure();
    this.draw(true);
  }

  /** The largest value of any layer or closed box: it gets the darkest color and the longest bar. */
  measure() {
    this.most = 0;
    if (this.coloring.kind !== "family" && !this.status) {
      for (const box of this.closedBoxes()) this.most = Math.max(this.most, this.value(box));
    }
    this.measured();
  }

  closedBoxes() {
    const found = [], waiting = [0];
    while (waiting.length) {
      const box = waiting.pop();
      if (this.layout.isOpen(box)) waiting.push(...this.model.children[box]);
      else found.push(box);
    }
    return found;
  }

  value(box) {
    const { kind, quantity } = this.coloring;
    if (kind === "field") return fieldArea(this.model, box);
    return Number(this.model.sums[quantity][box]);
  }

  valueText(box) {
    const { kind, quantity } = this.coloring;
    if (kind === "family" || this.model.isInput(box)) return "";
    if (kind === "field") return this.model.field(box)[0].replace("at most ", "≤");
    if (this.model.isPartial[quantity][box]) return "?";
    return short(this.model.sums[quantity][box]);
  }

  level(box) {
    const value = this.value(box);
    return value > 0 && this.most > 0 ? Math.max(1, Math.ceil(LEVELS * Math.sqrt(value / this.most))) : 0;
  }

  // --- Drawing ---------------------------------------------------------------------------------------

  /** Draw the window and a margin around it; without `force` only if the window has left what is drawn. */
  draw(force) {
    if (!this.size) return;
    const { scroller, scale } = this;
    if (!scroller.clientWidth && !this.isPrinting) return;
    const x0 = scroller.scrollLeft, y0 = scroller.scrollTop;
    const x1 = x0 + scroller.clientWidth, y1 = y0 + scroller.clientHeight;
    const drawn = this.drawn;
    if (!force && drawn && x0 >= drawn[0] && y0 >= drawn[1] && x1 <= drawn[2] && y1 <= drawn[3]) return;
    const full = [this.size.width * scale, this.size.height * scale];
    this.drawn = this.isPrinting ? [0, 0, ...full] : [
      Math.max(0, x0 - MARGIN), Math.max(0, y0 - MARGIN), Math.min(full[0], x1 + MARGIN), Math.min(full[1], y1 + MARGIN)];
    if (this.drawn[2] >= full[0]) this.drawn[2] = Math.max(full[0], x1);
    if (this.drawn[3] >= full[1]) this.drawn[3] = Math.max(full[1], y1);
    const [left, top, right, bottom] = this.drawn;
    const width = Math.min(right, full[0]) - left, height = Math.min(bottom, full[1]) - top;
    this.svg.style.left = `${left}px`;
    this.svg.style.top = `${top}px`;
    this.svg.setAttribute("width", Math.max(1, width));
    this.svg.setAttribute("height", Math.max(1, height));
    this.svg.setAttribute("viewBox", `${left / scale} ${top / scale} ${Math.max(1, width) / scale} ${Math.max(1, height) / scale}`);
    this.fill({ left: left / scale, top: top / scale, right: right / scale, bottom: bottom / scale });
  }

  fill(window) {
    const frames = shape("g"), edges = shape("g"), nodes = shape("g", { role: "none" });
    const waiting = [[0, 0, 0, 0]];
    while (waiting.length) {
      const [box, x, y, depth] = waiting.pop();
      const placed = this.layout.placed.get(box);
      if (depth) this.drawFrame(frames, nodes, box, x, y, placed, depth);
      this.drawEdges(edges, box, x, y, placed, window);
      this.model.children[box].forEach((child, i) => {
        const size = this.layout.size(child), at = placed.inner[i];
        const cx = x + at.x, cy = y + at.y;
        if (cx > window.right || cy > window.bottom || cx + size.width < window.left || cy + size.height < window.top) return;
        if (this.layout.isOpen(child)) waiting.push([child, cx, cy, depth + 1]);
        else this.drawNode(nodes, child, cx, cy, size, depth + 1);
      });
    }
    const arrow = shape("marker", { id: `${this.id}-arrow`, viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "8", markerHeight: "8", markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" },
      shape("path", { d: "M0 0.5 8 4 0 7.5Z", class: "tip" }));
    this.svg.replaceChildren(shape("defs", {}, arrow), frames, edges, nodes);
    this.mark();
  }

  item(box, classes, x, y, depth) {
    const isOpen = this.layout.isOpen(box);
    const value = this.valueText(box);
    const label = `${this.model.name(box)}, ${this.model.operation(box)}${value ? `, ${value}` : ""}${this.status ? `, ${this.status(box)}` : ""}`;
    return shape("g", {
      id: `${this.id}-${box}`, class: classes, role: "treeitem", "data-box": box, transform: `translate(${round(x)} ${round(y)})`,
      "aria-label": visible(label), "aria-level": depth, "aria-selected": String(box === this.selected),
      ...(this.model.isLayer(box) ? {} : { "aria-expanded": String(isOpen) }),
    });
  }

  drawFrame(frames, nodes, box, x, y, { width, height }, depth) {
    frames.append(shape("rect", { class: `frame d${depth % 2}`, x: round(x), y: round(y), width, height, rx: 6 }));
    const item = this.item(box, `header ${this.statusClass(box)}`, x, y, depth);
    // screen readers read the label, so these texts are only visual
    item.append(
      shape("rect", { width, height: HEADER - 3, rx: 5 }),
      shape("text", { "aria-hidden": "true", x: 28, y: 15 }, this.sign(box) + titleOf(this.model, box)),
      toggle(1, 1, "−"),
    );
    nodes.append(item);
  }

  sign(box) { return this.status ? SIGNS[this.status(box)] : ""; }

  statusClass(box) { return this.status ? `s-${this.status(box)}` : ""; }

  drawNode(nodes, box, x, y, size, depth) {
    const { model } = this;
    const { width, height } = size;
    const lines = linesOf(model, box);
    const isLayer = model.isLayer(box);
    const isColored = this.coloring.kind !== "family" && !this.status;
    const family = isLayer ? model.row(box)[FAMILY] : "block";
    const classes = ["node", `f-${family}`, isColored ? `q${this.level(box)}` : "", this.statusClass(box)];
    const item = this.item(box, classes.join(" "), x, y, depth);
    if (!isLayer) item.append(shape("rect", { class: "shadow", x: 3, y: 3, width, height, rx: 5 }));
    item.append(shape("rect", { class: "body", width, height, rx: isLayer ? 4 : 5 }));
    item.append(shape("rect", { class: "strip", width: 5, height, rx: 2 }));
    const left = isLayer ? 12 : 28;
    const first = lines.length > 1 ? (isLayer ? 14 : 18) : height / 2 + 4;
    item.append(shape("text", { "aria-hidden": "true", class: "title", x: left, y: first }, this.sign(box) + lines[0]));
    const value = this.valueText(box);
    if (lines.length > 1 && !(value && lines[1])) item.append(shape("text", { "aria-hidden": "true", class: "small", x: left, y: first + 15 }, lines[1]));
    if (value && lines.length > 1) item.append(shape("text", { "aria-hidden": "true", class: "small", x: left, y: first + 15 }, cut(lines[1], Math.max(4, Math.floor((width - left - 18) / 6.2) - value.length))));
    if (value && lines.length > 1) item.append(shape("text", { "aria-hidden": "true", class: "small value", x: width - 8, y: first + 15 }, value));
    if (isColored && this.most > 0) {
      const share = Math.min(1, this.value(box) / this.most);
      if (share > 0) item.append(shape("rect", { class: "bar", x: 5, y: height - 4, width: round(Math.max(1, share * (width - 8))), height: 3 }));
    }
    if (!isLayer) item.append(toggle(2, 11, "+"));
    item.append(shape("title", {}, `${model.name(box)}\n${model.operation(box)}`));
    nodes.append(item);
  }

  drawEdges(edges, box, x, y, placed, window) {
    const { model } = this;
    const pattern = model.patternOf(box);
    const group = shape("g", { transform: `translate(${round(x)} ${round(y)})` });
    const labelled = new Set();
    const inside = model.children[box];
    for (const edge of placed.edges) {
      if (y + edge.high < window.top || y + edge.low > window.bottom || x + edge.right < window.left || x + edge.left > window.right) continue;
      const [source, output, target] = pattern.edges[edge.number];
      const from = source - pattern.entries;
      const tensor = from < 0 ? model.reads[box][source] : model.gives[inside[from]][output];
      group.append(shape("path", { class: "edge", d: edge.path, "data-tensor": tensor, "marker-end": edge.hasArrow ? `url(#${this.id}-arrow)` : null }));
      // the output shape of an open block is shown outside, below the block
      if (from >= 0 && !labelled.has(source) && (box === 0 || target < pattern.entries + pattern.children)) {
        labelled.add(source);
        const text = crossed(model.row(model.boxOf[tensor])[OUTPUT]);
        group.append(shape("text", { "aria-hidden": "true", class: "shape", x: round(edge.x1 + 5), y: round(edge.y1 + (edge.isLow ? 14 : 11)) }, text));
      }
    }
    edges.append(group);
  }

  // --- Selection -------------------------------------------------------------------------------------

  /** Select a box, open the blocks around it, and scroll it into view. */
  choose(box, { scroll = true, open = true } = {}) {
    this.selected = box;
    if (open && this.model.shownFor(box) !== box) {
      this.model.reveal(box);
      this.update();
    }
    if (scroll && box > 0) this.bring(box);
    this.mark();
  }

  bring(box) {
    const { scroller, scale } = this;
    const { x, y, width, height } = this.position(box);
    const seen = this.layout.isOpen(box) ? HEADER : height;
    const [left, top] = [x * scale, y * scale];
    if (top < scroller.scrollTop + 30 || top + seen * scale > scroller.scrollTop + scroller.clientHeight - 30) {
      scroller.scrollTop = top - scroller.clientHeight / 3;
    }
    if (left < scroller.scrollLeft || left + width * scale > scroller.scrollLeft + scroller.clientWidth) {
      scroller.scrollLeft = left + (width * scale - scroller.clientWidth) / 2;
    }
    this.draw(false);
  }

  /** Highlight the selected box and its input and output tensors. */
  mark() {
    const old = this.svg.querySelector("[aria-selected=true]");
    if (old) old.setAttribute("aria-selected", "false");
    const box = this.selected;
    const item = box >= 0 ? byId(`${this.id}-${box}`) : null;
    if (item) item.setAttribute("aria-selected", "true");
    if (item) this.scroller.setAttribute("aria-activedescendant", item.id);
    else this.scroller.removeAttribute("aria-activedescendant");
    const tensors = new Set(box > 0 ? [...(this.model.reads[box] ?? []), ...this.model.gives[box]] : []);
    for (const edge of this.svg.querySelectorAll(".edge")) edge.classList.toggle("on", tensors.has(Number(edge.dataset.tensor)));
  }

  toggle(box) {
    if (this.model.isLayer(box) || box === 0) return;
    if (this.model.opened.has(box)) this.model.opened.delete(box);
    else this.model.opened.add(box);
    this.update(box);
  }

  click(event) {
    const item = event.target.closest("[data-box]");
    if (!item) return;
    const box = Number(item.dataset.box);
    if (event.target.closest(".toggle")) this.toggle(box);
    this.selected = box;
    this.mark();
    this.select(box, this);
  }

  doubleClick(event) {
    const item = event.target.closest("[data-box]");
    if (item && !event.target.closest(".toggle")) this.toggle(Number(item.dataset.box));
  }
}

function toggle(x, y, sign) {
  return shape("g", { class: "toggle", transform: `translate(${x} ${y})` },
    shape("rect", { class: "hit", x: -2, y: -4, width: 26, height: 28 }),
    shape("rect", { class: "box", x: 5, y: 2, width: 15, height: 15, rx: 3 }),
    shape("text", { "aria-hidden": "true", x: 12.5, y: 14 }, sign));
}

/** The share of the input that a field covers; the whole input if the field is global. */
function fieldArea(model, box) {
  if (model.isInput(box)) return 0;
  const [words, known] = model.field(box);
  const input = model.row(model.boxOf[0])[OUTPUT].slice(1).reduce((a, b) => a * b, 1);
  if (words === "global") return input;
  return known.length ? Math.min(input, known[0].reduce((a, b) => a * b, 1)) : 0;
}
