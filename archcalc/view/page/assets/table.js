"use strict";

/* The table of layers: sorting, filtering, and totals of the rows shown. Only rows in the window are in the
   page, because thousands would be slow. */

const ROW = 26;

class Table {
  constructor(model, root, go) {
    Object.assign(this, { model, root, go });
    this.layers = model.boxOf.filter((box) => !model.isInput(box));
    this.order = { column: -1, down: true };
    this.text = "";
    this.columns = this.makeColumns();
    this.words = this.layers.map((box) => `${model.name(box)}\n${model.row(box)[OPERATION]}`.toLowerCase());
    this.build();
    this.apply();
  }

  makeColumns() {
    const { model } = this;
    const columns = [
      { title: "Layer", text: (box) => model.name(box), wide: true },
      { title: "Operation", text: (box) => model.row(box)[OPERATION], wide: true },
      { title: "Output", text: (box) => crossed(model.row(box)[OUTPUT]), value: (box) => model.row(box)[OUTPUT].reduce((a, b) => a * b, 1), right: true },
      { title: "Field", text: (box) => model.field(box)[0], value: (box) => fieldArea(model, box), right: true },
    ];
    model.data.quantities.forEach((quantity, q) => {
      if (!model.sums[q][0] && !model.isPartial[q][0]) return;
      const value = (box) => (model.isPartial[q][box] ? null : model.sums[q][box]);
      columns.push({ title: quantity.heading, hint: quantity.definition, text: (box) => grouped(value(box)), value, right: true, sum: q });
      if (quantity.name === "params" || quantity.name === "macs") {
        columns.push({ title: `${quantity.heading} %`, text: (box) => percent(value(box), model.sums[q][0]), value, right: true, share: q });
      }
    });
    return columns;
  }

  build() {
    this.filter = element("input", { type: "search", id: "filter", placeholder: "name or operation, such as conv", oninput: oncePerFrame(() => { this.text = this.filter.value; this.apply(); }) });
    this.status = element("span", { role: "status", class: "status" });
    this.head = element("tr", {}, ...this.columns.map((column, c) =>
      element("th", { scope: "col", class: column.right ? "right" : "", "aria-sort": "none", title: column.hint },
        element("button", { type: "button", onclick: () => this.sort(c) }, column.title))));
    this.body = element("tbody");
    this.foot = element("tr");
    const widths = this.widths();
    const columns = element("colgroup", {}, ...widths.map((width) => element("col", { style: `width:${width}px` })));
    const style = `table-layout:fixed;width:${widths.reduce((a, b) => a + b, 0)}px`;
    this.table = element("table", { "aria-label": "Layers", style }, columns, element("thead", {}, this.head), this.body, element("tfoot", {}, this.foot));
    this.scroller = element("div", { class: "rows", tabindex: "0", role: "region", "aria-label": "Rows of the table", onscroll: oncePerFrame(() => this.draw()) }, this.table);
    new ResizeObserver(oncePerFrame(() => this.draw())).observe(this.scroller);
    this.root.append(
      element("div", { class: "tools" },
        element("label", { for: "filter" }, "Filter"), this.filter, this.status,
        element("button", { type: "button", onclick: () => this.copy("csv") }, "Copy CSV"),
        element("button", { type: "button", onclick: () => this.copy("markdown") }, "Copy Markdown")),
      this.scroller);
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-box]");
      if (row) this.go(Number(row.dataset.box));
    });
  }

  sort(column) {
    const isSame = this.order.column === column;
    const down = isSame ? !this.order.down : Boolean(this.columns[column].value);
    this.order = isSame && down === Boolean(this.columns[column].value) ? { column: -1, down: true } : { column, down };
    this.apply();
  }

  apply() {
    const words = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = words.length ? this.layers.filter((_, i) => words.every((word) => this.words[i].includes(word))) : [...this.layers];
    const { column, down } = this.order;
    if (column >= 0) {
      const { value, text } = this.columns[column];
      const key = value ?? text;
      const keys = new Map(this.shown.map((box) => [box, key(box)]));
      const sign = down ? -1 : 1;
      this.shown.sort((a, b) => sign * compareValues(keys.get(a), keys.get(b)) || a - b);
    }
    [...this.head.children].forEach((cell, c) => cell.setAttribute("aria-sort", c === column ? (down ? "descending" : "ascending") : "none"));
    this.status.textContent = words.length ? `${grouped(this.shown.length)} of ${grouped(this.layers.length)} layers` : `${grouped(this.layers.length)} layers`;
    this.foot.replaceChildren(...this.totals().map((text, c) => element(c ? "td" : "th", { class: this.columns[c].right ? "right" : "", scope: c ? null : "row" }, text)));
    this.scroller.scrollTop = 0;
    this.draw(false, true);
  }

  /** The width of each column, from its longest text: fixed, so that columns do not move during scrolling. */
  widths() {
    return this.columns.map((column, c) => {
      const most = column.wide ? 34 : 22;
      let longest = column.title.length + 2;
      if (column.sum !== undefined) longest = Math.max(longest, grouped(this.model.sums[column.sum][0]).length);
      else if (column.share === undefined) for (const box of this.layers) longest = Math.max(longest, Math.min(most, column.text(box).length));
      return Math.ceil(longest * (c && column.right ? 8 : 7.4)) + 22;
    });
  }

  /** The totals of the rows shown. */
  totals() {
    const sumOf = (q) => this.shown.reduce((sum, box) => sum + this.model.sums[q][box], this.model.data.big ? 0n : 0);
    return this.columns.map((column, c) => {
      if (!c) return this.text.trim() ? "Total of these" : "Total";
      if (column.sum !== undefined) {
        const isPartial = this.shown.some((box) => this.model.isPartial[column.sum][box]);
        return (isPartial ? "at least " : "") + grouped(sumOf(column.sum));
      }
      if (column.share !== undefined) return percent(sumOf(column.share), this.model.sums[column.share][0]);
      return "";
    });
  }

  /** Draw the rows in the window; redraw once the window has moved past them. */
  draw(all = false, force = all) {
    const height = this.scroller.clientHeight || 600;
    const top = Math.floor(this.scroller.scrollTop / ROW), seen = Math.ceil(height / ROW);
    if (!force && this.drawn && top >= this.drawn[0] && Math.min(this.shown.length, top + seen) <= this.drawn[1]) return;
    const first = all ? 0 : Math.max(0, top - 8);
    const last = all ? this.shown.length : Math.min(this.shown.length, top + seen + 8);
    this.drawn = [first, last];
    const rows = [];
    for (let i = first; i < last; i++) {
      const box = this.shown[i];
      const cells = this.columns.map((column, c) => {
        const text = column.text(box);
        const content = c ? text : element("button", { type: "button", class: "link" }, text);
        return element(c ? "td" : "th", { class: (column.right ? "right" : "") + (column.wide ? " wide" : ""), title: column.wide ? text : null, scope: c ? null : "row" }, content);
      });
      rows.push(element("tr", { "data-box": box, "aria-rowindex": i + 2 }, ...cells));
    }
    this.table.setAttribute("aria-rowcount", this.shown.length + 2);
    this.body.replaceChildren(spacer(first * ROW, this.columns.length), ...rows, spacer((this.shown.length - last) * ROW, this.columns.length));
  }

  async copy(format) {
    const text = format === "csv" ? this.csv() : this.markdown();
    this.copied = text;
    try {
      await navigator.clipboard.writeText(text);
      this.status.textContent = `copied ${grouped(this.shown.length)} rows`;
    } catch {
      this.fallback(text);
    }
  }

  /** If the clipboard is unavailable, show the text, selected, so that it can be copied with the keyboard. */
  fallback(text) {
    const area = element("textarea", { readonly: true, rows: "8", "aria-label": "Text to copy" });
    area.value = text;
    const dialog = element("dialog", { "aria-label": "Copy" }, area, element("form", { method: "dialog" }, element("button", {}, "Close")));
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
    area.select();
  }

  csv() {
    const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const plain = (text, column) => (column.sum !== undefined ? text.replaceAll(",", "") : text.replaceAll("×", "x"));
    const lines = [this.columns.map((column) => column.title)];
    for (const box of this.shown) lines.push(this.columns.map((column) => (column.wide ? column.text(box) : plain(column.text(box), column))));
    return lines.map((cells) => cells.map(quote).join(",")).join("\n") + "\n";
  }

  markdown() {
    const escape = (text) => visible(text).replace(/[\\`*|~_<&[\]]/g, "\\$&").replace(/\s+/g, " ");
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const lines = [line(this.columns.map((column) => column.title)), line(this.columns.map((column) => (column.right ? "---:" : "---")))];
    for (const box of this.shown) lines.push(line(this.columns.map((column) => escape(column.text(box)))));
    lines.push(line(this.totals().map((text) => (text ? `**${text}**` : ""))));
    return lines.join("\n") + "\n";
  }
}

/** `conv2` comes before `conv10`. */
const NATURAL = new Intl.Collator("en", { numeric: true });

function compareValues(a, b) {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (typeof a === "string") return NATURAL.compare(a, b);
  return a < b ? -1 : 1;
}

function spacer(height, columns) {
  return element("tr", { class: "spacer", "aria-hidden": "true" }, element("td", { colspan: columns, style: `height:${height}px` }));
}
