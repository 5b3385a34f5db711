"use strict";

/* Finds the input places that a place of a map reads, and the map places that a place of an input affects.

   Sets of places are masks along each axis. A region is a list of products of such sets, because two branches
   may read different rows and different columns. The windows of each layer are followed one by one, so the
   result shows gaps from dilation and leaves out padding. */

const MOST_PRODUCTS = 24;

/** The places that output place `o` reads along one axis of `n` places. */
function taps([unit, stride, before, extent, dilation, isTransposed, isClamped], o, n) {
  const found = [];
  const add = (i) => {
    if (isClamped) i = Math.min(Math.max(i, 0), n - 1);
    if (i >= 0 && i < n) found.push(i);
  };
  if (isTransposed) {
    const first = Math.floor((o * unit + before - extent) / stride) + 1, last = Math.floor((o * unit + before) / stride);
    for (let i = first; i <= last; i++) if (unit > 1 || dilation === 1 || (o + before - i * stride) % dilation === 0) add(i);
  } else if (unit === 1) {
    for (let i = 0; i < extent; i += dilation) add(o * stride - before + i);
  } else {
    const first = Math.floor((o * stride - before) / unit), last = -Math.floor((before - extent - o * stride) / unit) - 1;
    for (let i = first; i <= last; i++) add(i);
  }
  return found;
}

class Reach {
  constructor(model) {
    this.model = model;
    this.tables = new Map();
  }

  /** The places read by each output place along an axis; computed once per window and length. */
  table(window, places, n) {
    const key = `${window},${places},${n}`;
    if (!this.tables.has(key)) this.tables.set(key, Array.from({ length: places }, (_, o) => taps(window, o, n)));
    return this.tables.get(key);
  }

  /** The regions of all inputs that a place of a layer's map reads: by the number of the input's layer. */
  backward(box, place) {
    const { model } = this;
    const target = model.start[box];
    const regions = new Map([[target, [this.spatial(box).map((n, axis) => single(n, place[axis]))]]]);
    let isExact = !model.field(box)[2];
    for (let at = target; at >= 0; at--) {
      const region = regions.get(at);
      if (!region) continue;
      const layer = model.boxOf[at], row = model.row(layer);
      if (row[KIND] === "input") continue;
      regions.delete(at);
      const sources = model.inputs(layer);
      const found = this.before(layer, region);
      if (found.isLoose || row[LEAVES_OUT]) isExact = false;
      found.regions.forEach((products, i) => {
        if (!products) return;
        const source = sources[i];
        regions.set(source, products.reduce((list, product) => added(list, product), regions.get(source) ?? []));
      });
    }
    return { regions, isExact };
  }

  /** The lengths of a layer's inputs; for a block that represents its layers, those of the tensors it reads. */
  shapes(layer) {
    const lengths = this.model.row(layer)[INPUTS];
    if (lengths.length) return lengths.map((each) => each.slice(1));
    return this.model.reads[layer].map((tensor) => this.spatial(this.model.boxOf[tensor]));
  }

  spatial(box) { return this.model.row(box)[OUTPUT].slice(1); }

  /** The region of each input that a layer reads for a region of its output. */
  before(layer, region) {
    const row = this.model.row(layer), reach = row[REACH];
    const shapes = this.shapes(layer);
    const out = row[OUTPUT].slice(1);
    const whole = (lengths) => [lengths.map((n) => new Uint8Array(n).fill(1))];
    if (Array.isArray(reach)) {
      const [lengths] = shapes;
      const isKnown = reach.length === lengths.length && reach.length === out.length;
      const first = isKnown
        ? region.map((product) => product.map((mask, axis) => pulled(mask, this.table(reach[axis], out[axis], lengths[axis]), lengths[axis])))
        : whole(lengths);
      return { regions: [first], isLoose: !isKnown };
    }
    const [way, ...numbers] = reach.split(" ");
    if (way === "same") {
      return { regions: shapes.map((lengths) => {
        if (lengths.length !== out.length) return whole(lengths);
        return region.map((product) => product.map((mask, axis) => (lengths[axis] === out[axis] ? mask : lengths[axis] === 1 ? single(1, 0) : new Uint8Array(lengths[axis]).fill(1))));
      }), isLoose: false };
    }
    if (way === "swapped") {
      const [lengths] = shapes;
      return { regions: [region.map((product) => {
        const masks = new Array(lengths.length);
        numbers.forEach((axis, i) => (masks[Number(axis)] = product[i]));
        return masks;
      })], isLoose: false };
    }
    if (way === "stacked") {
      const axis = Number(numbers[0]);
      let from = 0;
      return { regions: shapes.map((lengths) => {
        const begin = from;
        from += lengths[axis];
        const part = region.map((product) => product.map((mask, a) => (a === axis ? mask.slice(begin, begin + lengths[axis]) : mask)));
        return part.filter((product) => product.every((mask) => mask.includes(1)));
      }), isLoose: false };
    }
    return { regions: shapes.map(whole), isLoose: way !== "whole" };
  }

  /** The masks of a layer's map that a place of an input affects: the places that read it. */
  forward(input, place, box) {
    const { model } = this;
    const target = model.start[box], source = model.start[input];
    const onTheWay = this.leadingTo(target);
    const regions = new Map([[source, [this.spatial(input).map((n, axis) => single(n, place[axis]))]]]);
    let isExact = !model.field(box)[2];
    for (let at = source + 1; at <= target; at++) {
      if (!onTheWay.has(at)) continue;
      const layer = model.boxOf[at];
      const sources = model.inputs(layer);
      if (!sources.some((tensor) => regions.has(tensor))) continue;
      const row = model.row(layer);
      if (row[LEAVES_OUT] || row[REACH] === "moved" || row[REACH] === "folded") isExact = false;
      const region = this.after(layer, sources.map((tensor) => regions.get(tensor)));
      if (region.length) regions.set(at, region);
    }
    return { region: regions.get(target) ?? [], isExact };
  }

  leadingTo(target) {
    const found = new Set([target]), waiting = [target];
    while (waiting.length) for (const tensor of this.model.reads[this.model.boxOf[waiting.pop()]]) if (!found.has(tensor)) {
      found.add(tensor);
      waiting.push(tensor);
    }
    return found;
  }

  /** The region of a layer's output that reads any of these regions of its inputs. */
  after(layer, inputs) {
    const row = this.model.row(layer), reach = row[REACH];
    const out = row[OUTPUT].slice(1);
    const shapes = this.shapes(layer);
    const whole = [out.map((n) => new Uint8Array(n).fill(1))];
    if (Array.isArray(reach)) {
      if (!inputs[0]) return [];
      if (reach.length !== shapes[0].length || reach.length !== out.length) return whole;
      const moved = inputs[0].map((product) => product.map((mask, axis) => pushed(mask, this.table(reach[axis], out[axis], shapes[0][axis]))));
      return moved.filter((product) => product.every((mask) => mask.includes(1)));
    }
    const [way, ...numbers] = reach.split(" ");
    const region = [];
    let from = 0;
    inputs.forEach((products, i) => {
      const lengths = shapes[i];
      const begin = from;
      if (way === "stacked") from += lengths[Number(numbers[0])];
      for (const product of products ?? []) {
        if (way === "same" && lengths.length === out.length) {
          region.push(product.map((mask, axis) => (lengths[axis] === out[axis] ? mask : new Uint8Array(out[axis]).fill(1))));
        } else if (way === "swapped") {
          region.push(numbers.map((axis) => product[Number(axis)]));
        } else if (way === "stacked") {
          region.push(product.map((mask, axis) => {
            if (axis !== Number(numbers[0])) return mask;
            const wide = new Uint8Array(out[axis]);
            wide.set(mask, begin);
            return wide;
          }));
        } else region.push(whole[0]);
      }
    });
    return region.reduce((list, product) => added(list, product), []);
  }
}

function single(n, at) {
  const mask = new Uint8Array(n);
  mask[at] = 1;
  return mask;
}

function pulled(mask, table, n) {
  const found = new Uint8Array(n);
  for (let o = 0; o < mask.length; o++) if (mask[o]) for (const i of table[o]) found[i] = 1;
  return found;
}

function pushed(mask, table) {
  return Uint8Array.from(table, (reads) => (reads.some((i) => mask[i]) ? 1 : 0));
}

const covers = (a, b) => a.every((mask, axis) => mask.every((bit, i) => bit || !b[axis][i]));

/** Add a product to a region. Covered products are dropped; too many become the smallest product around them. */
function added(list, product) {
  if (list.some((each) => covers(each, product))) return list;
  const kept = [...list.filter((each) => !covers(product, each)), product];
  if (kept.length <= MOST_PRODUCTS) return kept;
  return [product.map((mask, axis) => mask.map((_, i) => (kept.some((each) => each[axis][i]) ? 1 : 0)))];
}

/** The number of places in a region. */
function placesOf(region, lengths) {
  if (region.length === 1) return region[0].reduce((size, mask) => size * mask.reduce((a, b) => a + b, 0), 1);
  const seen = new Uint8Array(lengths.reduce((a, b) => a * b, 1));
  for (const product of region) {
    let offsets = [0];
    product.forEach((mask, axis) => {
      const next = [];
      for (const offset of offsets) mask.forEach((bit, i) => bit && next.push(offset * lengths[axis] + i));
      offsets = next;
    });
    for (const offset of offsets) seen[offset] = 1;
  }
  return seen.reduce((a, b) => a + b, 0);
}

/** The first and last place along each axis, and whether there are gaps in between. */
function hullOf(region) {
  if (!region.length) return null;
  const axes = region[0].length;
  let holes = false;
  const ranges = Array.from({ length: axes }, (_, axis) => {
    const union = region[0][axis].map((_, i) => (region.some((product) => product[axis][i]) ? 1 : 0));
    const first = union.indexOf(1), last = union.lastIndexOf(1);
    if (union.subarray(first, last + 1).includes(0)) holes = true;
    return [first, last];
  });
  return { ranges, holes };
}
