"use strict";

/* Memory over time: the live tensors at each moment, the peak, and its contents. */

const CHART_HEIGHT = 220, CHART_LEFT = 78, CHART_TOP = 14, CHART_BOTTOM = 22;

class Memory {
  constructor(model, root, go) {
    Object.assign(this, { model, root, go });
    this.runs = null;
  }

  /** Unpack the data ahead of time if the browser is idle, because printing does not wait for it. */
  async prepare() {
    this.unpacking ??= unpacked(this.model.data.memory);
    try {
      this.runs = await this.unpacking;
    } catch {
      this.root.replaceChildren(element("p", {}, `This browser cannot unpack the data. Run \`archcalc memory ${this.model.data.name}\`.`));
    }
  }

  show() {
    if (this.run) this.draw();
    else if (this.runs) this.choose(this.runs.length - 1);
    else this.prepare().then(() => this.runs && !this.run && this.choose(this.runs.length - 1));
  }

  choose(number) {
    this.run = this.runs[number];
    if (this.run.is_too_large) {
      this.root.replaceChildren(element("p", {}, `The peak is ${grouped(this.run.peak)} bytes, too many to count exactly in a browser. Run \`archcalc memory ${this.model.data.name}\`.`));
      this.draw = () => {};
      return;
    }
    this.hidden = new Set(this.run.categories.length === 2 ? ["parameters"] : []);
    this.curves = this.run.categories.map((_, c) => this.curve(c));
    this.build();
    this.goTo(this.run.moment);
  }

  /** The live bytes of a category at each moment. */
  curve(category) {
    const { run } = this;
    const curve = new Float64Array(run.at.length + 1);
    run.bytes.forEach((bytes, i) => {
      if (run.category[i] !== category) return;
      curve[run.born[i]] += bytes;
      curve[run.born[i] + run.stays[i] + 1] -= bytes;
    });
    for (let i = 1; i < curve.length; i++) curve[i] += curve[i - 1];
    return curve.subarray(0, run.at.length);
  }

  build() {
    const { run } = this;
    const chooser = this.runs.length > 1
      ? [element("label", { for: "run" }, "Memory of"), element("select", { id: "run", onchange: (event) => this.choose(event.target.selectedIndex) }, ...this.runs.map((each) => element("option", { selected: each === run }, each.title)))]
      : [];
    const boxes = run.categories.map(([name, words], c) => element("label", { class: "legend" },
      element("input", { type: "checkbox", checked: !this.hidden.has(name), onchange: (event) => { if (event.target.checked) this.hidden.delete(name); else this.hidden.add(name); this.draw(); this.list(); } }),
      element("span", { class: `key c${c}` }), words));
    this.svg = shape("svg", { class: "chart", role: "img", "aria-label": `Memory over time of ${run.title}` });
    this.svg.addEventListener("pointermove", (event) => event.buttons && this.point(event));
    this.svg.addEventListener("pointerdown", (event) => this.point(event));
    this.slider = element("input", { type: "range", min: "0", max: String(run.at.length - 1), id: "moment", oninput: () => this.goTo(Number(this.slider.value)) });
    this.words = element("p", { role: "status" });
    this.alive = element("div", { class: "alive" });
    this.root.replaceChildren(
      element("p", { class: "peak" }, ...this.peak(), ` ${run.when}, moment ${grouped(run.moment + 1)} of ${grouped(run.at.length)}. `,
        element("button", { type: "button", onclick: () => this.goTo(run.moment) }, "Show the peak")),
      element("div", { class: "tools" }, ...chooser, ...boxes),
      this.svg,
      element("div", { class: "tools" }, element("label", { for: "moment" }, "Moment"), this.slider),
      this.words, this.alive,
      element("p", { class: "note" }, `Not counted: ${run.left_out.join("; ")}.`));
    new ResizeObserver(oncePerFrame(() => this.draw())).observe(this.root);
  }

  /** The peak in words; for a run, activations come first, since its parameters are always alive. */
  peak() {
    const { run } = this;
    const whole = `${grouped(run.peak)} bytes`;
    if (run.categories[0][0] !== "activations") return [element("strong", {}, `Peak: ${whole}`)];
    return [element("strong", {}, `Peak of the activations: ${grouped(run.at_peak[0])} bytes`), ` (with the parameters ${whole})`];
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - CHART_LEFT) / (box.width - CHART_LEFT - 4);
    this.goTo(Math.max(0, Math.min(this.run.at.length - 1, Math.floor(share * this.run.at.length))));
  }

  shown() { return this.run.categories.map(([name], c) => [name, c]).filter(([name]) => !this.hidden.has(name)).map(([, c]) => c); }

  /** The stacked areas. Each column of the chart shows the highest of its moments. */
  draw() {
    const { run } = this;
    const width = this.root.clientWidth;
    if (!width) return;
    const count = run.at.length, shown = this.shown();
    const columns = Math.min(count, Math.max(60, Math.floor(width - CHART_LEFT)));
    const plot = { left: CHART_LEFT, right: width - 4, top: CHART_TOP, bottom: CHART_HEIGHT - CHART_BOTTOM };
    const totals = new Float64Array(count);
    for (const c of shown) this.curves[c].forEach((bytes, i) => (totals[i] += bytes));
    const most = totals.reduce((a, b) => Math.max(a, b), 1);
    const picked = Array.from({ length: columns }, (_, column) => {
      let best = Math.floor((column * count) / columns);
      for (let i = best; i < Math.floor(((column + 1) * count) / columns); i++) if (totals[i] > totals[best]) best = i;
      return best;
    });
    const x = (column) => round(plot.left + ((plot.right - plot.left) * column) / columns);
    const y = (bytes) => round(plot.bottom - ((plot.bottom - plot.top) * bytes) / most);
    const base = new Float64Array(columns);
    const areas = shown.map((c) => {
      let upper = "", lower = "";
      picked.forEach((moment, column) => {
        const low = base[column], high = low + this.curves[c][moment];
        base[column] = high;
        upper += `${column ? "L" : "M"}${x(column)} ${y(high)}H${x(column + 1)}`;
        lower = `L${x(column + 1)} ${y(low)}H${x(column)}` + lower;
      });
      return shape("path", { class: `area c${c}`, d: upper + lower + "Z" });
    });
    const ticks = [0, 0.5, 1].map((share) => shape("text", { class: "tick", x: plot.left - 6, y: y(most * share) + 4, "text-anchor": "end" }, bytesText(most * share)));
    const phases = this.phases().map(([name, at]) => shape("text", { class: "tick", x: x((at * columns) / count) + 2, y: CHART_HEIGHT - 6 }, name));
    const line = (moment, name) => {
      const at = x(((moment + 0.5) * columns) / count);
      return shape("path", { class: name, d: `M${at} ${plot.top - 6}V${plot.bottom}` });
    };
    this.svg.setAttribute("viewBox", `0 0 ${width} ${CHART_HEIGHT}`);
    this.svg.setAttribute("height", CHART_HEIGHT);
    this.svg.replaceChildren(...areas, shape("path", { class: "axis", d: `M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}` }), ...ticks, ...phases, line(run.moment, "at-peak"), line(this.moment ?? 0, "cursor"));
  }

  /** The start of each phase; the loss and the update are short and count as part of the backward pass. */
  phases() {
    const found = [];
    this.run.phase.forEach((number, i) => {
      const name = { forward: "forward", loss: "backward", recompute: "backward", step: "backward" }[this.run.phases[number]] ?? this.run.phases[number];
      if (!found.length || found.at(-1)[0] !== name) found.push([name, i]);
    });
    return found;
  }

  goTo(moment) {
    this.moment = moment;
    this.slider.value = String(moment);
    this.draw();
    this.list();
  }

  /** The tensors alive at the moment, largest first. */
  list() {
    const { run, moment } = this;
    const shown = new Set(this.shown());
    const alive = [];
    run.born.forEach((born, i) => {
      if (born <= moment && moment <= born + run.stays[i] && shown.has(run.category[i])) alive.push(i);
    });
    const total = alive.reduce((sum, i) => sum + run.bytes[i], 0);
    alive.sort((a, b) => run.bytes[b] - run.bytes[a] || a - b);
    const at = run.at[moment];
    const phase = run.phases[run.phase[moment]];
    const where = at < 0 ? phase : `${this.model.name(this.model.boxOf[at])} (${phase})`;
    this.words.textContent = visible(`Moment ${grouped(moment + 1)}, ${where}: ${grouped(alive.length)} tensors, ${grouped(total)} bytes.`);
    const rows = alive.slice(0, 14).map((i) => {
      const box = run.node[i] < 0 ? -1 : this.model.boxOf[run.node[i]];
      const name = run.names[run.name[i]].replaceAll("\0", box < 0 ? "" : this.model.name(box));
      const link = box < 0 ? name : element("button", { type: "button", class: "link", onclick: () => this.go(box) }, name);
      return element("tr", {}, element("th", { scope: "row" }, element("span", { class: `key c${run.category[i]}` }), link), element("td", {}, run.categories[run.category[i]][1]),
        element("td", { class: "right" }, grouped(run.bytes[i])), element("td", { class: "right" }, percent(run.bytes[i], total)));
    });
    const head = ["Tensor", "Category", "Bytes", "%"].map((text, c) => element("th", { scope: "col", class: c > 1 ? "right" : "" }, text));
    this.alive.replaceChildren(
      element("table", { "aria-label": "Alive at this moment, the largest first" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
      alive.length > 14 ? element("p", { class: "note" }, `and ${grouped(alive.length - 14)} smaller ones`) : "");
  }
}

function bytesText(bytes) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  return `${Math.round(bytes)} B`;
}
