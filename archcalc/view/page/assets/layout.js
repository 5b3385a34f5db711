"use strict";

/* The layout of boxes. Python decides ranks and tracks; positions are computed here, from the inside out.

   A block is a frame with a header. Its tensors enter below the header and leave at the bottom. Each track has
   one x for all its ranks: the mean of its leftmost and its rightmost possible position, then moved toward the
   tracks it is connected with. */

const HEADER = 24, PAD = 14, GAP = 36, ENTRY_GAP = 16, EXIT_GAP = 30, SIDE_GAP = 18, LANE = 7;
const LAYER_HEIGHT = 36, SMALL_HEIGHT = 22, BLOCK_HEIGHT = 44, STEP = 16;
const SWEEPS = 6;

class Layout {
  constructor(model) {
    this.model = model;
    this.closed = new Map();
    this.placed = new Map();
    this.known = new Map();
  }

  /** Lay out everything that is open. Equal blocks that are open in the same way are laid out once. */
  run() {
    const open = this.openBoxes();
    this.placed = new Map();
    for (let i = open.length - 1; i >= 0; i--) {
      const box = open[i];
      const sizes = this.model.children[box].map((child) => this.size(child));
      const pattern = this.model.data.pattern[box];
      const key = `${pattern},${box === 0 ? 0 : 1},${this.titleWidth(box)};${sizes.map((size) => size.key).join(";")}`;
      if (!this.known.has(key)) {
        const made = placeBlock(this.model.patterns[pattern], sizes, box === 0, this.titleWidth(box));
        made.key = `o${this.known.size}`;
        this.known.set(key, made);
      }
      this.placed.set(box, this.known.get(key));
    }
    return this.placed.get(0);
  }

  /** The open boxes whose blocks are all open, outer ones first. */
  openBoxes() {
    const found = [], waiting = [0];
    while (waiting.length) {
      const box = waiting.pop();
      found.push(box);
      for (const child of this.model.children[box]) if (this.isOpen(child)) waiting.push(child);
    }
    return found;
  }

  isOpen(box) { return this.model.children[box].length > 0 && this.model.opened.has(box); }

  titleWidth(box) {
    if (box === 0) return 0;
    return Math.ceil((textWidth(titleOf(this.model, box), 7) + 64) / STEP) * STEP;
  }

  size(box) {
    if (this.isOpen(box)) return this.placed.get(box);
    if (!this.closed.has(box)) this.closed.set(box, closedSize(this.model, box));
    return this.closed.get(box);
  }
}

/** The approximate width of a text: the page measures nothing, so it opens quickly. */
function textWidth(text, each) {
  let width = 0;
  for (const c of text) width += c > "\u2e80" ? 2 * each : each;
  return width;
}

const LONGEST = 30;

/** Shorten a text to a number of characters; the tooltip and the details show all of it. */
function cut(text, most = LONGEST) {
  const characters = [...text];
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : text;
}

function titleOf(model, box) {
  const label = model.label(box), kind = model.kind(box), run = model.run(box);
  if (run) return `${cut(label, 36)} · ${run[0]} times`;
  return label.startsWith(kind) || kind === "group" ? cut(label) : cut(`${label}: ${kind}`);
}

/** The one or two lines of a closed box. */
function linesOf(model, box) {
  const label = cut(model.label(box));
  if (!model.isLayer(box)) {
    const layers = model.layers(box);
    return [titleOf(model, box), `${grouped(layers)} ${layers === 1 ? "layer" : "layers"}`];
  }
  const [kind] = model.row(box);
  const title = label.startsWith(kind) ? label : cut(`${label}: ${kind}`);
  const text = model.isInput(box) ? "" : argumentsOf(model.row(box));
  return text ? [title, cut(text)] : [title];
}

/** A layer's arguments: window and channels of a convolution, window of a pool, otherwise as written. */
function argumentsOf([kind, family, operation, window, output]) {
  if (window) return family === "conv" ? `${window}, ${output[0]} channels` : window;
  return operation.startsWith(`${kind}(`) ? operation.slice(kind.length + 1, -1) : "";
}

function closedSize(model, box) {
  const lines = linesOf(model, box);
  const height = model.isLayer(box) ? (lines.length > 1 ? LAYER_HEIGHT : SMALL_HEIGHT) : BLOCK_HEIGHT;
  const room = model.isLayer(box) ? 28 : 50; // a symbol may precede the title
  const label = textWidth(crossed(model.row(model.outputBox(box))[OUTPUT]), 6);
  let width = Math.max(84, 7 * [...lines[0]].length + room, lines[1] ? 6.2 * [...lines[1]].length + room : 0, 2 * label + 16);
  width = Math.ceil(width / STEP) * STEP;
  const outs = model.gives[box].map(() => width / 2);
  return { width, height, ins: null, outs, anchor: width / 2, isBlock: !model.isLayer(box), key: `${width}x${height}:${outs.length}${model.isLayer(box) ? "" : "b"}` };
}

/** The size of a block, and the positions of its children, edges and ports in it. */
function placeBlock(pattern, sizes, isRoot, titleWidth) {
  const { entries, children, exits, ranks, tracks, edges } = pattern;
  const depth = Math.max(...ranks) + 1;
  const left = (v) => (isChild(v) ? sizes[v - entries].anchor : LANE);
  const right = (v) => (isChild(v) ? sizes[v - entries].width - sizes[v - entries].anchor : LANE);
  const isChild = (v) => v >= entries && v < entries + children;

  const heights = new Float64Array(depth);
  for (let v = entries; v < entries + children; v++) heights[ranks[v]] = Math.max(heights[ranks[v]], sizes[v - entries].height);
  const tops = new Float64Array(depth);
  let y = isRoot ? PAD : HEADER;
  for (let rank = 0; rank < depth; rank++) {
    tops[rank] = y;
    const isEntry = entries > 0 && rank === 0;
    const isBeforeExit = exits > 0 && rank === depth - 2;
    y += heights[rank] + (isEntry ? ENTRY_GAP : isBeforeExit ? EXIT_GAP : GAP);
  }
  const height = tops[depth - 1] + heights[depth - 1] + (exits ? 0 : PAD);

  const x = placeTracks(pattern, depth, left, right);
  const anchors = new Float64Array(ranks.length);
  const lanes = new Map();
  tracks.forEach((track, t) => {
    for (const cell of track.cells) {
      if (cell >= 0) anchors[cell] = x[t];
      else lanes.set(-1 - cell, x[t]);
    }
  });
  let low = Infinity, high = -Infinity;
  tracks.forEach((track, t) => {
    for (const cell of track.cells) {
      low = Math.min(low, x[t] - left(cell));
      high = Math.max(high, x[t] + right(cell));
    }
  });
  const missing = Math.max(0, titleWidth - (high - low + 2 * PAD));
  const shift = PAD - low + missing / 2;
  const width = high - low + 2 * PAD + missing;
  for (let v = 0; v < anchors.length; v++) anchors[v] += shift;
  for (const [v, at] of lanes) lanes.set(v, at + shift);

  const inner = sizes.map((size, i) => ({ x: anchors[entries + i] - size.anchor, y: tops[ranks[entries + i]] }));
  const arrivals = arrivalsOf(pattern, sizes, anchors, lanes);
  const drawn = edges.map(([source, output, target], e) => {
    const size = isChild(source) ? sizes[source - entries] : null;
    const from = size ? inner[source - entries].x + size.outs[output] : anchors[source];
    const to = arrivals[e];
    const y1 = size ? tops[ranks[source]] + size.height : tops[ranks[source]];
    const edge = edgePath(from, y1, to, ranks, tops, heights, source, target, lanes.get(source), isChild(target), e);
    edge.isLow = Boolean(size && size.isBlock);
    return edge;
  });
  const ins = Array.from(anchors.slice(0, entries));
  const outs = Array.from(anchors.slice(entries + children));
  const anchor = ins.length === 1 ? ins[0] : width / 2;
  return { width, height, ins, outs, anchor, inner, edges: drawn, key: "" };
}

/** The x of each track. */
function placeTracks(pattern, depth, left, right) {
  const { tracks } = pattern;
  const extents = tracks.map((track) => track.cells.map((cell) => [left(cell), right(cell)]));
  const packedLeft = packTracks(tracks, extents, depth, 0);
  const mirrored = packTracks([...tracks].reverse(), [...extents].reverse(), depth, 1).reverse();
  const shift = Math.max(...packedLeft.map((at, t) => at + mirrored[t]));
  const x = packedLeft.map((at, t) => (at + shift - mirrored[t]) / 2);
  const { before, after } = neighborsOf(tracks, depth);
  const pulls = pullsOf(pattern);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let i = 0; i < tracks.length; i++) {
      const t = sweep % 2 ? tracks.length - 1 - i : i;
      if (!pulls[t].length) continue;
      let wanted = 0, weight = 0;
      for (const [other, force] of pulls[t]) {
        wanted += force * x[other];
        weight += force;
      }
      wanted /= weight;
      let low = -Infinity, high = Infinity;
      extents[t].forEach(([l, r], i) => {
        const [u, ui] = before[t][i], [w, wi] = after[t][i];
        if (u >= 0) low = Math.max(low, x[u] + extents[u][ui][1] + SIDE_GAP + l);
        if (w >= 0) high = Math.min(high, x[w] - extents[w][wi][0] - SIDE_GAP - r);
      });
      if (low <= high) x[t] = Math.min(Math.max(wanted, low), high);
    }
  }
  return x;
}

/** Move tracks to one side until they touch the tracks before them. */
function packTracks(tracks, extents, depth, side) {
  const edge = new Float64Array(depth).fill(-SIDE_GAP);
  return tracks.map((track, t) => {
    let at = -Infinity;
    extents[t].forEach((extent, i) => (at = Math.max(at, edge[track.top + i] + SIDE_GAP + extent[side])));
    extents[t].forEach((extent, i) => (edge[track.top + i] = at + extent[1 - side]));
    return at;
  });
}

/** For each rank of each track, its left and right neighbor tracks, with the position in each. */
function neighborsOf(tracks, depth) {
  const last = new Int32Array(depth).fill(-1);
  const before = tracks.map((track, t) => track.cells.map((_, i) => {
    const rank = track.top + i, u = last[rank];
    last[rank] = t;
    return [u, u < 0 ? 0 : rank - tracks[u].top];
  }));
  const after = tracks.map((track) => track.cells.map(() => [-1, 0]));
  before.forEach((cells, t) => cells.forEach(([u, ui], i) => { if (u >= 0) after[u][ui] = [t, i]; }));
  return { before, after };
}

/** The connected tracks that pull on each track. A lane does not move the tracks that it passes. */
function pullsOf(pattern) {
  const { tracks, edges, ranks } = pattern;
  const trackOf = new Map(), laneOf = new Map();
  tracks.forEach((track, t) => track.cells.forEach((cell) => (cell >= 0 ? trackOf.set(cell, t) : laneOf.set(-1 - cell, t))));
  const isLane = tracks.map((track) => track.cells.every((cell) => cell < 0));
  const pulls = tracks.map(() => []);
  const connect = (a, b) => {
    if (a === b) return;
    if (!isLane[b] || isLane[a]) pulls[a].push([b, 1]);
    if (!isLane[a] || isLane[b]) pulls[b].push([a, 1]);
  };
  for (const [source, , target] of edges) {
    if (ranks[target] === ranks[source] + 1) connect(trackOf.get(source), trackOf.get(target));
    else {
      connect(trackOf.get(source), laneOf.get(source));
      connect(laneOf.get(source), trackOf.get(target));
    }
  }
  return pulls;
}

/** Where each edge meets its reader: at the ports of an open block, otherwise side by side, in order. */
function arrivalsOf(pattern, sizes, anchors, lanes) {
  const { entries, children, edges, ranks } = pattern;
  const arrivals = new Float64Array(edges.length);
  const into = new Map();
  edges.forEach(([, , target], e) => into.has(target) ? into.get(target).push(e) : into.set(target, [e]));
  for (const [target, list] of into) {
    const size = target < entries + children ? sizes[target - entries] : null;
    if (!size) list.forEach((e) => (arrivals[e] = anchors[target]));
    else if (size.ins) list.forEach((e, port) => (arrivals[e] = anchors[target] - size.anchor + size.ins[port]));
    else if (list.length === 1) arrivals[list[0]] = anchors[target];
    else {
      const from = (e) => {
        const [source, output] = edges[e];
        if (ranks[target] > ranks[source] + 1) return lanes.get(source);
        if (source < entries) return anchors[source];
        return anchors[source] - sizes[source - entries].anchor + sizes[source - entries].outs[output];
      };
      const step = Math.min(22, (size.width - 20) / (list.length - 1));
      [...list].sort((a, b) => from(a) - from(b) || a - b)
        .forEach((e, i) => (arrivals[e] = anchors[target] + step * (i - (list.length - 1) / 2)));
    }
  }
  return arrivals;
}

/** An edge as SVG path commands, with its y range and the position of its label. */
function edgePath(x1, y1, x2, ranks, tops, heights, source, target, lane, hasArrow, number) {
  const top = tops[ranks[target]];
  const bottomOf = (rank) => tops[rank] + heights[rank];
  const path = [`M${round(x1)} ${round(y1)}`];
  let x = x1, y = y1;
  const bend = (to, from, end) => {
    if (Math.abs(to - x) < 0.6) {
      path.push(`V${round(end)}`);
    } else {
      const begin = Math.min(from, end - 10);
      const middle = (begin + end) / 2;
      path.push(`V${round(begin)}`, `C${round(x)} ${round(middle)} ${round(to)} ${round(middle)} ${round(to)} ${round(end)}`);
    }
    x = to;
    y = end;
  };
  const after = (rank) => Math.max(bottomOf(rank), y) + (tops[rank + 1] - bottomOf(rank) > 20 ? 13 : 2);
  if (ranks[target] === ranks[source] + 1) {
    bend(x2, after(ranks[source]), top);
  } else {
    bend(lane, after(ranks[source]), tops[ranks[source] + 1]);
    path.push(`V${round(bottomOf(ranks[target] - 1))}`);
    y = bottomOf(ranks[target] - 1);
    bend(x2, y + 2, top);
  }
  return { path: path.join(""), low: y1, high: top, source, target, hasArrow, x1, y1, number, left: Math.min(x1, x2, lane ?? x1), right: Math.max(x1, x2, lane ?? x1) };
}

const round = (value) => Math.round(value * 10) / 10;
