"use strict";

/* Two networks side by side: what was added, removed and changed, and an account of the difference. */

const STATES = ["same", "added", "removed", "changed"];

/** Prefixes for the names of boxes, for people who do not see the colors. */
const SIGNS = { same: "", added: "+ ", removed: "− ", changed: "~ " };

class ComparisonPage {
  constructor(models) {
    const { comparison } = DATA;
    this.models = models;
    this.graphs = models.map((model, side) => new KeyboardGraph(model, (box) => this.chose(side, box), (box) => this.state(side, box)));
    this.details = models.map((model, side) => new Details(model, byId("details"), (box) => this.go(side, box), (box) => this.graphs[side].toggle(box)));
    byId("name").textContent = visible(comparison.title);
    byId("about").replaceChildren(...comparison.about.map((line) => element("span", {}, line)));
    byId("totals").replaceWith(element("div", { id: "totals" }, ...[...comparison.verdict, ...comparison.notes].map((line) => element("p", {}, line))));
    byId("made").textContent = `archcalc ${DATA.archcalc}`;
    for (const name of ["memory", "field", "treemap"]) byId(`tab-${name}`).remove();
    byId("tab-table").textContent = "Difference";
    byId("graph-pane").append(this.tools(), element("div", { class: "pair" }, ...this.graphs.map((graph, side) => element("div", {}, element("h2", {}, comparison.names[side]), graph.scroller))), this.legend());
    byId("panel-table").append(...comparison.sections.map(differenceTable));
    byId("panel-table").style.overflow = "auto";
    this.openDifferences();
    this.graphs.forEach((graph) => graph.update());
    this.details[1].show(0);
    setUpSearch(models[1], (box) => this.go(1, box));
  }

  tools() {
    const all = (work) => () => { this.models.forEach(work); this.graphs.forEach((graph) => graph.update()); };
    const button = (text, work) => element("button", { type: "button", onclick: work }, text);
    return element("div", { class: "tools" },
      button("Open differences", () => { this.models.forEach((model) => model.closeAll()); this.openDifferences(); this.graphs.forEach((graph) => graph.update()); }),
      button("Open all", all((model) => model.openAll())), button("Close all", all((model) => model.closeAll())),
      button("Next difference", () => this.next()),
      button("Fit", () => this.graphs.forEach((graph) => graph.fit())));
  }

  legend() {
    const words = { added: "+ added", removed: "− removed", changed: "~ changed, or changes inside" };
    return element("p", { class: "legend-line" }, ...Object.entries(words).map(([state, text]) => element("span", { class: "legend" }, element("span", { class: `key s-${state}` }), text)));
  }

  /** What happened to a box: the state of its layers, or `changed` if they differ. */
  state(side, box) {
    this.known ??= this.models.map((model, s) => {
      const found = new Array(model.count);
      for (let at = model.count - 1; at >= 0; at--) {
        if (model.isLayer(at)) found[at] = DATA.comparison.states[s][model.start[at]];
        else {
          const inside = new Set(model.children[at].map((child) => found[child]));
          found[at] = inside.size === 1 ? [...inside][0] : 3;
        }
      }
      return found;
    });
    return STATES[this.known[side][box]];
  }

  /** Open the blocks that contain a difference, unless there are too many to look at. */
  openDifferences() {
    this.models.forEach((model, side) => {
      const waiting = [0];
      while (waiting.length && model.opened.size < 60) {
        const box = waiting.shift();
        if (model.isLayer(box) || this.state(side, box) !== "changed") continue;
        model.opened.add(box);
        waiting.push(...model.children[box]);
      }
    });
  }

  next() {
    const [before, after] = this.models;
    const different = [[1, after], [0, before]].flatMap(([side, model]) => model.boxOf.filter((box) => this.state(side, box) !== "same" && (side || this.state(side, box) === "removed")).map((box) => [side, box]));
    if (!different.length) return;
    this.at = ((this.at ?? -1) + 1) % different.length;
    this.go(...different[this.at]);
  }

  chose(side, box) {
    this.details[side].show(box);
    const { changes, partners } = DATA.comparison;
    const model = this.models[side];
    if (!model.isLayer(box)) return;
    const partner = partners[side][model.start[box]];
    const lines = side ? changes[model.start[box]] : changes[partner];
    if (lines) byId("details").querySelector(".figures").before(element("ul", { class: "notes", "aria-label": "Changes" }, ...lines.map((line) => element("li", {}, line))));
    if (partner >= 0) this.graphs[1 - side].choose(this.models[1 - side].boxOf[partner], { open: true });
  }

  go(side, box) {
    this.graphs[side].choose(box);
    this.chose(side, box);
  }

  show(name) { if (name === "graph") this.graphs.forEach((graph) => graph.draw(true)); }

  redraw() {}

  print(isPrinting) { this.graphs.forEach((graph) => graph.print(isPrinting)); }
}

function differenceTable({ title, note, columns }) {
  const rows = columns[0].cells.map((_, r) => element("tr", {}, ...columns.map((column) => element("td", { class: column.right ? "right" : "" }, column.cells[r]))));
  const totals = columns.some((column) => column.total) ? [element("tfoot", {}, element("tr", {}, ...columns.map((column) => element("td", { class: column.right ? "right" : "" }, column.total))))] : [];
  return element("div", { class: "difference", tabindex: "0", role: "region", "aria-label": title }, element("h2", {}, title), note ? element("p", { class: "note" }, note) : "",
    rows.length ? element("table", {}, element("thead", {}, element("tr", {}, ...columns.map((column) => {
      const heading = column.heading.replaceAll("\n", " ");
      return element(heading.trim() ? "th" : "td", { scope: heading.trim() ? "col" : null, class: column.right ? "right" : "" }, heading);
    }))), element("tbody", {}, ...rows), ...totals) : "");
}
