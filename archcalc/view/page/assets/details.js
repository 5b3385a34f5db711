"use strict";

/* Details of the selected box: its figures, its explanation, its inputs and outputs. */

class Details {
  constructor(model, root, go, toggle) {
    Object.assign(this, { model, root, go, toggle });
  }

  show(box) {
    const { model } = this;
    this.box = box;
    const name = box === 0 ? model.data.name : model.name(box);
    const rows = [["Kind", model.kind(box)], ["Operation", model.operation(box)]];
    if (model.isLayer(box) && model.row(box)[INPUTS].length) rows.push(["Input shape", model.row(box)[INPUTS].map(crossed).join(", ")]);
    rows.push(["Output shape", crossed(model.row(model.outputBox(box))[OUTPUT])]);
    const [field, known] = model.field(box);
    rows.push(["Receptive field", known.length ? `${field}, effective stride ${crossed(known[1])}` : field]);
    const figures = model.data.quantities.map((quantity, q) => [quantity, q]).filter(([, q]) => model.sums[q][box] || model.isPartial[q][box]);
    const list = element("dl", { class: "figures" });
    for (const [term, text] of rows) list.append(element("dt", {}, term), element("dd", {}, text));
    for (const [quantity, q] of model.isInput(box) ? [] : figures) {
      const share = percent(model.sums[q][box], model.sums[q][0]);
      const value = (model.isPartial[q][box] ? "at least " : "") + grouped(model.sums[q][box]);
      list.append(element("dt", { title: quantity.definition }, quantity.heading), element("dd", {}, value, share ? element("span", { class: "share" }, ` ${share} %`) : ""));
    }
    const text = element("pre", { tabindex: "0", "aria-label": "Explanation" }, "…");
    if (this.root.scrollTop) this.root.scrollTop = 0;
    this.root.replaceChildren(
      element("h2", {}, name),
      ...(this.crumbs(box)),
      ...(box === 0 ? this.summary() : [list]),
      ...this.links(box),
      element("h3", {}, "Where the figures come from"),
      text,
    );
    this.explain(box, text);
  }

  /** The totals in words, with notes that matter for reading the figures. */
  summary() {
    const { totals, notes, remarks } = this.model.data;
    const list = element("dl", { class: "figures" });
    for (const [name, value, words] of totals) list.append(element("dt", {}, name), element("dd", {}, element("strong", {}, value), " ", element("span", { class: "share" }, words)));
    const lines = [...notes, ...remarks].map((line) => element("li", {}, line));
    return [list, lines.length ? element("ul", { class: "notes" }, ...lines) : ""];
  }

  async explain(box, text) {
    let words;
    try {
      words = await this.model.explanation(box);
    } catch {
      words = `This browser cannot unpack the explanation. Run \`archcalc explain ${this.model.data.name} ${this.model.name(box)}\`.`;
    }
    if (this.box === box) text.textContent = visible(words) || "The boxes in this run are equal. Open it to see them.";
  }

  /** Buttons for the blocks around a box, and one that opens or closes it. */
  crumbs(box) {
    const { model } = this;
    const outer = [];
    for (let at = model.parent[box]; at > 0; at = model.parent[at]) if (!model.run(at)) outer.unshift(at);
    const buttons = outer.map((at) => this.button(at, `in ${model.label(at)}`));
    if (!model.isLayer(box) && box > 0) {
      buttons.push(element("button", { type: "button", onclick: () => { this.toggle(box); this.show(box); } }, model.opened.has(box) ? "Close" : "Open"));
    }
    return buttons.length ? [element("div", { class: "crumbs" }, ...buttons)] : [];
  }

  button(box, text) {
    return element("button", { type: "button", class: "link", onclick: () => this.go(box) }, text);
  }

  links(box) {
    const { model } = this;
    if (box === 0) return [];
    const reads = model.reads[box].map((tensor) => model.boxOf[tensor]);
    const readers = [...new Set(model.gives[box].flatMap((tensor) => model.readers(model.boxOf[tensor])))].filter(
      (reader) => model.start[reader] < model.start[box] || model.start[reader] >= model.stop[box]);
    return [["Reads", reads], ["Read by", readers]].filter(([, boxes]) => boxes.length).map(([title, boxes]) =>
      element("p", { class: "links" }, element("span", {}, `${title}: `), ...boxes.slice(0, 12).map((at) => this.button(at, model.name(at))), boxes.length > 12 ? `and ${boxes.length - 12} more` : ""));
  }
}
