"use strict";

/* Keyboard control of the graph: the selection moves in the model, and the window follows. */

class KeyboardGraph extends Graph {
  key(event) {
    const box = this.selected > 0 ? this.model.shownFor(this.selected) : -1;
    const moves = { ArrowDown: () => this.below(box), ArrowUp: () => this.above(box), ArrowRight: () => this.beside(box, 1), ArrowLeft: () => this.beside(box, -1), Home: () => this.model.children[0][0], End: () => this.model.children[0].at(-1) };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const next = box < 0 ? this.model.children[0][0] : moves[event.key]();
      if (next !== undefined && next >= 0) {
        this.choose(next, { open: false });
        this.select(next, this);
      }
    } else if ((event.key === "Enter" || event.key === " ") && box > 0) this.toggle(box);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** The next box in reading order: the first one inside an open block, otherwise the one after it. */
  below(box) {
    if (this.layout.isOpen(box)) return this.model.children[box][0];
    for (let at = box; at > 0; at = this.model.parent[at]) {
      const next = this.model.children[this.model.parent[at]][this.place(at) + 1];
      if (next !== undefined) return next;
    }
    return box;
  }

  above(box) {
    const place = this.place(box), parent = this.model.parent[box];
    if (!place) return parent > 0 ? parent : box;
    let at = this.model.children[parent][place - 1];
    while (this.layout.isOpen(at)) at = this.model.children[at].at(-1);
    return at;
  }

  /** The nearest box on one side at the same height. */
  beside(box, side) {
    const here = this.position(box);
    let best = -1, nearest = Infinity;
    for (const sibling of this.model.children[this.model.parent[box]]) {
      const there = this.position(sibling);
      const apart = side * (there.x - here.x);
      if (apart > 0 && apart < nearest && Math.abs(there.y - here.y) < 4) [best, nearest] = [sibling, apart];
    }
    return best < 0 ? box : best;
  }
}
