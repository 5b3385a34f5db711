"use strict";

/* The view of receptive fields: the input on one side, the map of a layer on the other. */

const MAP_SIZE = 300;

class FieldView {
  constructor(model, root) {
    Object.assign(this, { model, root });
    this.reach = new Reach(model);
    this.inputs = model.boxOf.filter((box) => model.isInput(box));
    this.input = this.inputs[0];
    this.box = -1;
    this.build();
  }

  build() {
    this.title = element("p", {});
    this.words = element("p", { role: "status", class: "answer" });
    this.canvas = { input: this.makeCanvas("input"), map: this.makeCanvas("map") };
    this.places = { input: element("span", { class: "places" }), map: element("span", { class: "places" }) };
    const chooser = this.inputs.length > 1
      ? [element("label", { for: "which-input" }, "Input"), element("select", { id: "which-input", onchange: (event) => { this.input = this.inputs[event.target.selectedIndex]; this.show(this.box, true); } }, ...this.inputs.map((box) => element("option", {}, this.model.name(box))))]
      : [];
    this.captions = { input: element("figcaption"), map: element("figcaption") };
    const figure = (side) => element("figure", {}, this.captions[side], this.canvas[side], this.places[side]);
    this.root.replaceChildren(this.title, element("div", { class: "tools" }, ...chooser),
      element("div", { class: "maps" }, figure("input"), figure("map")), this.words,
      element("p", { class: "note" }, "Point at a place of the map to see what it reads of the input, or at a place of the input to see what it affects. Light squares inside the outline are holes, which dilation and stride leave; the frame around the input is padding."));
  }

  makeCanvas(side) {
    const canvas = element("canvas", { role: "img", "aria-label": side === "input" ? "Input" : "Map of the layer", "data-side": side });
    const point = (event) => {
      const { left, top } = canvas.getBoundingClientRect();
      const { cell, margin, lengths } = this.geometry(side);
      const [h, w] = lengths.slice(-2).length === 2 ? lengths.slice(-2) : [1, lengths[0] ?? 1];
      const row = Math.floor((event.clientY - top) / cell) - margin[0], column = Math.floor((event.clientX - left) / cell) - margin[1];
      if (row >= 0 && column >= 0 && row < h && column < w) this.ask(side, this.placeAt(side, row, column));
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    return canvas;
  }

  placeAt(side, row, column) {
    const lengths = this.lengths(side);
    if (lengths.length === 1) return [column];
    return [...this.place[side].slice(0, -2), row, column];
  }

  lengths(side) { return this.model.row(side === "input" ? this.input : this.box)[OUTPUT].slice(1); }

  geometry(side) {
    const lengths = this.lengths(side);
    const [h, w] = lengths.length > 1 ? lengths.slice(-2) : [1, lengths[0] ?? 1];
    const around = side === "input" ? Math.max(1, Math.ceil(Math.max(h, w) * 0.08)) : 0;
    const margin = [lengths.length > 1 ? around : 0, lengths.length ? around : 0];
    const longest = Math.max(h + 2 * margin[0], w + 2 * margin[1]);
    const cell = Math.max(1, Math.min(20, MAP_SIZE / longest));
    return { lengths, h, w, margin, cell };
  }

  /** Show the field of a layer, from the middle of its map. */
  show(box, force = false) {
    const layer = this.model.outputBox(box);
    if (layer === this.box && !force) return;
    this.box = layer;
    if (!this.root.clientWidth) {
      this.isStale = true;
      return;
    }
    this.isStale = false;
    const { model } = this;
    const [words, known] = model.field(layer);
    const steps = known.length ? `, effective stride ${crossed(known[1])}, padding ${crossed(known[2])}` : "";
    this.title.replaceChildren(element("strong", {}, model.name(layer)), `: receptive field ${words}${steps}`);
    this.place = { input: this.middle("input"), map: this.middle("map") };
    for (const side of ["input", "map"]) {
      const at = side === "input" ? this.input : layer;
      this.captions[side].textContent = visible(`${model.name(at)}, ${crossed(model.row(at)[OUTPUT])}`);
      this.fillPlaces(side);
    }
    this.ask("map", this.place.map);
  }

  middle(side) { return this.lengths(side).map((n) => Math.floor((n - 1) / 2)); }

  /** Number inputs for a place, for keyboard users. */
  fillPlaces(side) {
    const names = this.model.data.axes[this.lengths(side).length] ?? [];
    this.places[side].replaceChildren(...this.lengths(side).map((n, axis) => {
      const input = element("input", { type: "number", min: "0", max: String(n - 1), value: String(this.place[side][axis]), oninput: () => {
        const at = Number(input.value);
        if (!Number.isInteger(at) || at < 0 || at >= n) return;
        this.ask(side, this.place[side].map((old, a) => (a === axis ? at : old)));
      } });
      return element("label", {}, names[axis] ?? `axis ${axis}`, " ", input);
    }));
  }

  /** Show the result for a place of the map, or of the input. */
  ask(side, place) {
    this.place[side] = place;
    [...this.places[side].querySelectorAll("input")].forEach((input, axis) => { if (document.activeElement !== input) input.value = String(place[axis]); });
    if (side === "map") this.askBackward(place);
    else this.askForward(place);
  }

  askBackward(place) {
    const { regions, isExact } = this.reach.backward(this.box, place);
    const region = regions.get(this.model.start[this.input]) ?? [];
    this.answer = { region, isExact, side: "input" };
    this.paint("input", region, this.outline(place));
    this.paint("map", [this.lengths("map").map((n, axis) => single(n, place[axis]))]);
    this.say(`${spelled(place)} of the map reads`, region, "input", isExact);
  }

  askForward(place) {
    const { region, isExact } = this.reach.forward(this.input, place, this.box);
    this.answer = { region, isExact, side: "map" };
    this.paint("input", [this.lengths("input").map((n, axis) => single(n, place[axis]))]);
    this.paint("map", region);
    this.say(`${spelled(place)} of the input affects`, region, "map", isExact);
  }

  say(begin, region, side, isExact) {
    const lengths = this.lengths(side);
    const all = lengths.reduce((a, b) => a * b, 1);
    const hull = hullOf(region);
    if (!hull) {
      this.words.textContent = `${begin} nothing.`;
      return;
    }
    const names = this.model.data.axes[lengths.length] ?? [];
    const ranges = hull.ranges.map(([first, last], axis) => `${names[axis] ?? `axis ${axis}`} ${first} to ${last}`).join(", ");
    const count = placesOf(region, lengths);
    const what = side === "input" ? "the input" : "the map";
    const holes = hull.holes ? ", with holes" : "";
    this.words.textContent = `${begin} ${isExact ? "" : "at most "}${grouped(count)} of ${grouped(all)} places of ${what}${ranges ? `: ${ranges}` : ""}${holes}.`;
  }

  /** The whole field of a place, padding included: first and last along each axis. */
  outline(place) {
    const known = this.model.field(this.box)[1];
    if (!known.length || this.inputs.length > 1) return null;
    const [size, stride, padding] = known;
    return size.map((n, axis) => [place[axis] * stride[axis] - padding[axis], place[axis] * stride[axis] - padding[axis] + n - 1]);
  }

  paint(side, region, outline = null) {
    const canvas = this.canvas[side];
    const { lengths, h, w, margin, cell } = this.geometry(side);
    const ratio = window.devicePixelRatio || 1;
    const width = (w + 2 * margin[1]) * cell, height = Math.max(16, (h + 2 * margin[0]) * cell);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(this.root);
    const color = (name) => style.getPropertyValue(name).trim();
    context.scale(ratio, ratio);
    context.fillStyle = color("--faint");
    context.fillRect(0, 0, width, height);
    context.fillStyle = color("--surface");
    context.fillRect(margin[1] * cell, margin[0] * cell, w * cell, Math.max(h * cell, margin[0] ? 0 : height));
    context.fillStyle = color("--accent");
    const isFlat = lengths.length < 2;
    for (const product of region) {
      if (lengths.length > 2 && !product.slice(0, -2).every((mask, axis) => mask[this.slice(side, axis, product)])) continue;
      const columns = stretches(lengths.length ? product.at(-1) : [1]), rows = stretches(isFlat ? [1] : product.at(-2));
      for (const [top, bottom] of rows) {
        for (const [left, right] of columns) {
          const x = Math.round((left + margin[1]) * cell), y = Math.round((top + margin[0]) * cell);
          context.fillRect(x, y, Math.max(1, Math.round((right + margin[1]) * cell) - x), isFlat ? height : Math.max(1, Math.round((bottom + margin[0]) * cell) - y));
        }
      }
    }
    if (cell >= 6) drawGrid(context, margin, h, w, cell, color("--line"));
    if (outline) {
      const [rows, columns] = outline.length > 1 ? outline.slice(-2) : [[0, 0], outline[0]];
      context.strokeStyle = color("--text");
      context.setLineDash([4, 3]);
      context.lineWidth = 1.5;
      context.strokeRect((columns[0] + margin[1]) * cell, (rows[0] + margin[0]) * cell, (columns[1] - columns[0] + 1) * cell, outline.length > 1 ? (rows[1] - rows[0] + 1) * cell : height - 1);
    }
  }

  /** The slice of a volume to draw: the one with the chosen place, or the first one that is reached. */
  slice(side, axis, product) {
    const at = this.place[side][axis];
    return product[axis][at] ? at : product[axis].indexOf(1);
  }
}

/** The runs where a mask is set: start (included) and end (excluded). */
function stretches(mask) {
  const found = [];
  mask.forEach((bit, i) => {
    if (!bit) return;
    if (found.length && found.at(-1)[1] === i) found.at(-1)[1]++;
    else found.push([i, i + 1]);
  });
  return found;
}

const spelled = (place) => (place.length ? `Place (${place.join(", ")})` : "Each value");

function drawGrid(context, margin, h, w, cell, color) {
  context.strokeStyle = color;
  context.lineWidth = 0.5;
  context.beginPath();
  const x = margin[1] * cell, y = margin[0] * cell;
  for (let i = 0; i <= w; i++) { context.moveTo(x + i * cell, y); context.lineTo(x + i * cell, y + h * cell); }
  for (let i = 0; i <= h; i++) { context.moveTo(x, y + i * cell); context.lineTo(x + w * cell, y + i * cell); }
  context.stroke();
}
