"use strict";

/* What all scripts share: elements, numbers, packed data. */

const DATA = JSON.parse(document.getElementById("data").textContent);

/** An HTML element. Text becomes text nodes, so a name from a file is never read as markup. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.map((child) => (typeof child === "string" ? visible(child) : child)));
  return node;
}

/** Control characters as pictures of themselves: a name with a line break stays on its line. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

const byId = (id) => document.getElementById(id);

/** A whole number with commas; `?` if it is not known. Also for integers of any length. */
function grouped(value) {
  if (value === null || value === undefined) return "?";
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A number in at most four digits, for labels: 118M. The exact one is in the details. */
function short(value) {
  let number = Number(value);
  for (const unit of ["", "K", "M", "G", "T", "P"]) {
    if (number < 999.5) return (number < 10 && unit ? number.toFixed(1).replace(/\.0$/, "") : String(Math.round(number))) + unit;
    number /= 1000;
  }
  return Number(value).toExponential(1);
}

/** A share of a whole in percent, as the report writes it: one place, and `<0.1` for less. */
function percent(part, whole) {
  if (!whole || !part) return "";
  const share = (100 * Number(part)) / Number(whole);
  return share < 0.05 ? "<0.1" : share.toFixed(1);
}

const crossed = (lengths) => lengths.join("×");

/** Data that was compressed, as a promise. */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

/** Call a function at most once before the next frame. */
function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
