"use strict";

/* Shared by all scripts: elements, numbers, packed data. */

const DATA = JSON.parse(document.getElementById("data").textContent);

/** An HTML element. Text becomes text nodes, so names from files are never parsed as markup. */
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

/** Replace control characters by visible symbols, so that a name with a line break stays on one line. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

const byId = (id) => document.getElementById(id);

/** An integer of any length with commas; `?` if it is unknown. */
function grouped(value) {
  if (value === null || value === undefined) return "?";
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A number with at most four digits, for labels: 118M. The details show the exact number. */
function short(value) {
  let number = Number(value);
  for (const unit of ["", "K", "M", "G", "T", "P"]) {
    if (number < 999.5) return (number < 10 && unit ? number.toFixed(1).replace(/\.0$/, "") : String(Math.round(number))) + unit;
    number /= 1000;
  }
  return Number(value).toExponential(1);
}

/** A share in percent, formatted as in the report: one decimal, and `<0.1` for smaller shares. */
function percent(part, whole) {
  if (!whole || !part) return "";
  const share = (100 * Number(part)) / Number(whole);
  return share < 0.05 ? "<0.1" : share.toFixed(1);
}

const crossed = (lengths) => lengths.join("×");

/** Unpack compressed data; returns a promise. */
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
