"use strict";

/* The page: views, search, theme, print. */

const models = DATA.networks.map((data) => new Model(data));
const isComparison = models.length > 1;

const FEW_BOXES = 90;

/** The views of one network. If there are few boxes, all are open at first. */
class Page {
  constructor(model) {
    this.model = model;
    this.graph = new KeyboardGraph(model, (box) => this.chose(box));
    this.details = new Details(model, byId("details"), (box) => this.go(box), (box) => this.graph.toggle(box));
    byId("graph-pane").append(this.tools(), this.graph.scroller, this.legend = element("p", { class: "legend-line" }));
    this.table = null;
    this.memory = new Memory(model, byId("panel-memory"), (box) => this.go(box));
    this.field = null;
    this.treemap = null;
    this.box = 0;
    if (model.count <= FEW_BOXES) model.openAll();
    this.graph.measured = () => this.describe();
    this.graph.update();
    this.details.show(0);
    (window.requestIdleCallback ?? setTimeout)(() => this.memory.prepare());
  }

  tools() {
    const { model } = this;
    const select = element("select", { id: "color", onchange: () => this.color(select.value) },
      element("option", { value: "family" }, "kind of layer"),
      ...model.data.quantities.map((quantity, q) => [quantity, q]).filter(([, q]) => model.sums[q][0]).map(([quantity, q]) => element("option", { value: q }, quantity.heading)),
      element("option", { value: "field" }, "Receptive field"));
    const button = (text, label, work) => element("button", { type: "button", "aria-label": label, title: label, onclick: work }, text);
    return element("div", { class: "tools" },
      element("label", { for: "color" }, "Color by"), select,
      button("Open all", "Open all blocks", () => { model.openAll(); this.graph.update(); }),
      button("Close all", "Close all blocks", () => { model.closeAll(); this.graph.update(); this.graph.center(); }),
      button("−", "Smaller", () => this.graph.zoom(0.8)), button("+", "Larger", () => this.graph.zoom(1.25)), button("Fit", "Fit the width", () => this.graph.fit()));
  }

  color(value) {
    this.graph.color(value === "family" || value === "field" ? { kind: value } : { kind: "quantity", quantity: Number(value) });
  }

  /** The legend under the graph. */
  describe() {
    const { coloring, most } = this.graph;
    const { quantities } = this.model.data;
    if (coloring.kind === "family") {
      const families = [...new Set(this.model.data.rows.map((row) => row[FAMILY]))].filter((family) => family !== "input");
      this.legend.replaceChildren(...families.map((family) => element("span", { class: "legend" }, element("span", { class: `key f-${family}` }), family)));
    } else {
      const noun = coloring.kind === "field" ? "places of the input that one value sees" : quantities[coloring.quantity].noun;
      this.legend.replaceChildren(`Stronger color and a longer bar: more ${noun}; the most is ${short(most)}. Gray: none.`);
    }
  }

  /** Called when a box is selected in the graph. */
  chose(box) {
    this.box = box;
    this.details.show(box);
    if (this.field) this.field.show(box);
  }

  /** Go to a box from another view, the search or a link. */
  go(box, toGraph = true) {
    this.graph.choose(box, { scroll: box > 0 });
    this.chose(box);
    if (toGraph && isNarrow()) byId("details").scrollIntoView({ block: "start" });
  }

  /** Create a view when it is first shown. */
  show(name) {
    if (name === "table") this.table ??= new Table(this.model, byId("panel-table"), (box) => this.go(box, false));
    if (name === "memory") this.memory.show();
    if (name === "treemap") (this.treemap ??= new Treemap(this.model, byId("panel-treemap"), (box) => this.go(box, false))).draw();
    if (name === "field") {
      this.field ??= new FieldView(this.model, byId("panel-field"));
      this.field.show(this.field.box < 0 && !this.box ? this.lastMap() : this.box, true);
    }
    if (name === "graph") this.graph.draw(true);
  }

  /** The initial layer: the last one that sees less than half of the input, otherwise the last map. */
  lastMap() {
    const { model } = this;
    const maps = model.boxOf.filter((box) => !model.isInput(box) && model.row(box)[OUTPUT].length > 1 && model.field(box)[1].length);
    const whole = model.row(model.boxOf[0])[OUTPUT].slice(1).reduce((a, b) => a * b, 1);
    return maps.findLast((box) => 2 * fieldArea(model, box) < whole) ?? maps.at(-1) ?? model.boxOf.at(-1);
  }
}

const isNarrow = () => matchMedia("(max-width: 800px)").matches;

// --- Views -------------------------------------------------------------------------------------------

function openTab(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isOpen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(isOpen));
    tab.tabIndex = isOpen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !isOpen;
  }
  view.show(name);
}

function setUpTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, i) => {
    const name = tab.id.slice(4);
    tab.addEventListener("click", () => openTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(i + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
}

// --- Search ------------------------------------------------------------------------------------------

const FEW = 30;

function setUpSearch(model, go) {
  const input = byId("search"), list = byId("found");
  let found = [], active = 0;
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    const item = list.children[active];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    }
  };
  const pick = (box) => {
    close();
    openTab("graph");
    go(box);
  };
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return close();
    const [all, shown] = search(model, words);
    found = shown;
    active = 0;
    list.replaceChildren(...found.map((box, i) => element("li", { role: "option", id: `found-${i}`, onclick: () => pick(box) }, element("span", {}, model.name(box)), element("small", {}, model.operation(box)))));
    byId("found-count").textContent = all ? `${grouped(all)} found` : "nothing found";
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    mark();
    return undefined;
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && !list.hidden) pick(found[active]);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      active = (active + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length);
      mark();
      event.preventDefault();
    }
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
  });
}

/** The number of boxes with all words in their name or operation, and the first ones; prefix matches go first. */
function search(model, words) {
  let all = 0;
  const first = [], rest = [];
  for (let box = 1; box < model.count; box++) {
    if (model.run(box)) continue;
    const name = model.name(box).toLowerCase();
    if (!words.every((word) => name.includes(word) || model.operation(box).toLowerCase().includes(word))) continue;
    all++;
    if (name.startsWith(words[0]) || model.label(box).toLowerCase().startsWith(words[0])) { if (first.length < FEW) first.push(box); }
    else if (rest.length < FEW) rest.push(box);
  }
  return [all, [...first, ...rest].slice(0, FEW)];
}

// --- Theme and print ---------------------------------------------------------------------------------

function setUpTheme() {
  const button = byId("theme");
  const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => (button.textContent = isDark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    name();
    view.redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); view.redraw(); });
  name();
}

/** For printing, draw the whole graph, scaled to the page width, and all rows of the table. */
function setUpPrint() {
  const panels = [...document.querySelectorAll("[role=tabpanel]")];
  let hidden = [];
  addEventListener("beforeprint", () => {
    hidden = panels.map((panel) => panel.hidden);
    panels.forEach((panel) => (panel.hidden = false));
    view.print(true);
  });
  addEventListener("afterprint", () => {
    panels.forEach((panel, i) => (panel.hidden = hidden[i]));
    view.print(false);
  });
}

Graph.prototype.print = function (isPrinting) {
  this.isPrinting = isPrinting;
  const scale = Math.min(1, 680 / this.size.width);
  if (isPrinting) [this.scaleBefore, this.scale] = [this.scale, scale];
  else this.scale = this.scaleBefore;
  this.resize();
  this.draw(true);
};

// --- Start -------------------------------------------------------------------------------------------

function setUpHeader(data) {
  byId("name").textContent = visible(data.name);
  byId("about").replaceChildren(...data.about.map((line) => element("span", {}, line)));
  byId("totals").replaceChildren(...data.totals.map(([name, value, words]) => element("div", { title: words }, element("dt", {}, name), element("dd", {}, value))));
  byId("made").textContent = `archcalc ${DATA.archcalc}`;
}

const view = isComparison ? new ComparisonPage(models) : Object.assign(new Page(models[0]), {
  redraw() { if (this.field && !byId("panel-field").hidden) this.field.show(this.field.box, true); },
  print(isPrinting) {
    for (const name of ["table", "treemap", "memory", "field"]) if (isPrinting) this.show(name);
    this.graph.print(isPrinting);
    if (this.table) this.table.draw(isPrinting);
  },
});
if (!isComparison) {
  setUpHeader(models[0].data);
  setUpSearch(models[0], (box) => view.go(box));
}
setUpTabs();
setUpTheme();
setUpPrint();
document.documentElement.dataset.ready = "yes";
