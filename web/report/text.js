// Elements and text. Whatever stands in a log is set as text, never as markup, and what could do something to its reader
// (control characters, marks that turn the direction of writing) is shown as an escape.

const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}]|(?<=\p{M}{3})\p{M}/gu;
const LONGEST = 300;

/** Its beginning, where a text is longer than anybody reads in a list; the opened row has all of it. */
export const short = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

/** Text with harmful characters shown as `\u{202e}`. */
export function visible(text) {
  return String(text).replace(HARMFUL, (mark) => `\\u{${mark.codePointAt(0).toString(16)}}`);
}

/** An element: its attributes (a function is a listener), and its children, of which strings are text. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, visible(value));
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null).map(node));
  return element;
}

const node = (child) => (child instanceof Node ? child : document.createTextNode(visible(child)));

/** `filter_timeout` as people read it. */
export const words = (name) => String(name).replaceAll("_", " ");

export const number = (count) => count.toLocaleString("en");

/** `1 abort`, `2 aborts`. */
export const many = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };

/** Names a table, or a row of one, and all its parts for readers who hear it: narrow screens lay it out as a list. */
export function withRoles(element) {
  for (const part of [element, ...element.querySelectorAll("thead, tbody, tr, th, td")]) {
    part.setAttribute("role", ROLES[part.tagName] ?? (part.scope === "row" ? "rowheader" : "columnheader"));
  }
  return element;
}

/** A table of a row of headings, and rows or their element. */
export const table = (head, body) =>
  withRoles(h("table", {}, h("thead", {}, head), body instanceof Node ? body : h("tbody", {}, body)));
