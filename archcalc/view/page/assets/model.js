"use strict";

/* The page's model of a network: the tree of boxes, their names, figures and edges. */

const KIND = 0, FAMILY = 1, OPERATION = 2, WINDOW = 3, OUTPUT = 4, INPUTS = 5, VALUES = 6, REACH = 7, LEAVES_OUT = 8;

class Model {
  constructor(data) {
    this.data = data;
    this.count = data.kids.length;
    this.patterns = data.patterns.map(readPattern);
    this.buildTree();
    this.buildFigures();
    this.buildEdges();
    this.opened = new Set([0]);
    this.explanations = null;
  }

  /** Boxes are in depth-first order, each with the number of its children. */
  buildTree() {
    const { kids } = this.data;
    this.parent = new Int32Array(this.count).fill(-1);
    this.children = [];
    this.start = new Int32Array(this.count);
    this.stop = new Int32Array(this.count);
    this.boxOf = [];
    const around = [];
    for (let box = 0; box < this.count; box++) {
      while (around.length && this.children[around.at(-1)].length === kids[around.at(-1)]) around.pop();
      this.children.push([]);
      this.start[box] = this.boxOf.length;
      if (around.length) {
        this.parent[box] = around.at(-1);
        this.children[around.at(-1)].push(box);
      }
      if (kids[box]) around.push(box);
      else this.boxOf.push(box);
    }
    for (let box = this.count - 1; box >= 0; box--) {
      this.stop[box] = kids[box] ? this.stop[this.children[box].at(-1)] : this.start[box] + 1;
    }
    this.names = new Array(this.count);
  }

  isLayer(box) { return !this.children[box].length; }

  /** `[times, period]` of a run of equal boxes, or undefined. */
  run(box) { return this.data.runs[box]; }

  label(box) { return this.data.labels[this.data.label[box]]; }

  /** The path of a box, from the labels of the blocks around it. */
  name(box) {
    if (this.names[box] === undefined) {
      let outer = this.parent[box];
      while (outer > 0 && this.run(outer)) outer = this.parent[outer];
      const prefix = outer > 0 && !this.data.full[box] ? this.name(outer) + "/" : "";
      this.names[box] = prefix + this.label(box);
    }
    return this.names[box];
  }

  /** The row of a layer's figures. */
  row(box) { return this.data.rows[this.data.row[this.start[box]]]; }

  /** The layer whose tensor is the output of a box. */
  outputBox(box) {
    if (this.isLayer(box)) return box;
    const at = this.data.output[box];
    return this.boxOf[at !== undefined ? at : this.stop[box] - 1];
  }

  field(box) { return this.data.fields[this.data.field[this.start[this.outputBox(box)]]]; }

  isInput(box) { return this.isLayer(box) && this.row(box)[KIND] === "input"; }

  kind(box) {
    if (this.run(box)) return "run";
    return this.isLayer(box) ? this.row(box)[KIND] : this.data.kinds[this.data.kind[box]] || "network";
  }

  /** Describe a box in one line. */
  operation(box) {
    const run = this.run(box);
    if (run) return `${run[0]} times`;
    if (this.isLayer(box)) return this.row(box)[OPERATION];
    const layers = this.layers(box);
    return `${this.kind(box)}: ${layers} ${layers === 1 ? "layer" : "layers"}`;
  }

  layers(box) { return this.stop[box] - this.start[box]; }

  /** The figures of each box: sums over its layers. Unknown figures add nothing and are marked. */
  buildFigures() {
    const { quantities, big, rows } = this.data;
    if (big) for (const row of rows) row[VALUES] = row[VALUES].map((v) => (v === null ? null : BigInt(v)));
    const zero = big ? 0n : 0;
    this.sums = quantities.map(() => new Array(this.count).fill(zero));
    this.isPartial = quantities.map(() => new Uint8Array(this.count));
    for (let box = this.count - 1; box >= 0; box--) {
      const values = this.isLayer(box) ? this.row(box)[VALUES] : [];
      values.forEach((value, q) => {
        if (value === null) this.isPartial[q][box] = 1;
        else this.sums[q][box] = value;
      });
      const parent = this.parent[box];
      if (parent < 0) continue;
      for (let q = 0; q < quantities.length; q++) {
        this.sums[q][parent] += this.sums[q][box];
        this.isPartial[q][parent] |= this.isPartial[q][box];
      }
    }
  }

  /** The input and output tensors of each box, as layer numbers, followed through the ports of its block. */
  buildEdges() {
    this.gives = new Array(this.count);
    this.reads = new Array(this.count).fill(null);
    for (let box = this.count - 1; box >= 0; box--) {
      if (this.isLayer(box)) {
        this.gives[box] = [this.start[box]];
        continue;
      }
      const { entries, children, edges } = this.patternOf(box);
      this.gives[box] = [];
      for (const [source, output, target] of edges) {
        if (target >= entries + children) this.gives[box].push(this.gives[this.children[box][source - entries]][output]);
      }
    }
    this.reads[0] = [];
    for (let box = 0; box < this.count; box++) {
      if (this.isLayer(box)) continue;
      const { entries, children, edges } = this.patternOf(box);
      const inside = this.children[box];
      for (const child of inside) this.reads[child] = [];
      for (const [source, output, target] of edges) {
        if (target >= entries + children) continue;
        const tensor = source < entries ? this.reads[box][source] : this.gives[inside[source - entries]][output];
        this.reads[inside[target - entries]].push(tensor);
      }
    }
  }

  /** The tensors that a layer reads, in order; a tensor that it reads twice is listed twice. */
  inputs(layer) {
    const twice = this.data.twice[this.start[layer]];
    return twice ? twice.map((number) => this.reads[layer][number]) : this.reads[layer];
  }

  patternOf(box) { return this.patterns[this.data.pattern[box]]; }

  /** The boxes of the layers that read the tensor of a layer. */
  readers(box) {
    if (!this.readersOf) {
      this.readersOf = this.boxOf.map(() => []);
      for (const reader of this.boxOf) for (const source of this.reads[reader]) this.readersOf[source].push(reader);
    }
    return this.readersOf[this.start[box]];
  }

  /** The closed box that represents a box, or the box itself. */
  shownFor(box) {
    let shown = box;
    for (let outer = this.parent[box]; outer >= 0; outer = this.parent[outer]) if (!this.opened.has(outer)) shown = outer;
    return shown;
  }

  /** Open all blocks around a box. */
  reveal(box) {
    for (let outer = this.parent[box]; outer >= 0; outer = this.parent[outer]) this.opened.add(outer);
  }

  openAll() { this.children.forEach((children, box) => children.length && this.opened.add(box)); }

  closeAll() { this.opened = new Set([0]); }

  /** The explanation of a box, as `archcalc explain` prints it; a promise. */
  async explanation(box) {
    this.explanations ??= unpacked(this.data.explain);
    const { texts, of } = await this.explanations;
    return of[box].map((number) => texts[number]).join("\n\n").replaceAll("\0", this.name(box));
  }
}

/** A pattern with its edges as triples, and the tracks of its vertices. */
function readPattern([entries, children, exits, flat, ranks, tracks]) {
  const edges = [];
  for (let i = 0; i < flat.length; i += 3) edges.push([flat[i], flat[i + 1], flat[i + 2]]);
  const read = tracks.map(([top, cells]) => ({ top, cells }));
  return { entries, children, exits, edges, ranks, tracks: read };
}
