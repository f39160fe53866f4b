// What one screen has to say: how many, whose fault, what to do, what became of the mail.
import { tally } from "./data.js";
import { timeChart } from "./chart.js";
import { h, many, number, short, table, words } from "./text.js";

const UNSCANNED = "delivered_unscanned";
const URGENCIES = [
  ["act", "want action"],
  ["look", "depend on what you find"],
  ["ignore", "can be ignored"],
];

/** The overview of all rows; `choose` narrows the table to a field's value. `advice`: what to change, where it is known. */
export function overview(rows, advice, choose) {
  const classes = byClass(rows);
  const canvas = h("canvas", { role: "img", "aria-label": "Aborts over time by class; the figures stand in the table behind “Figures”." });
  const figures = h("div", { class: "scroll" });
  const element = h(
    "div",
    { class: "overview" },
    warning(rows, choose),
    h("section", { class: "tiles", "aria-label": "In short" }, tiles(rows, choose)),
    h("section", { class: "card wide" }, h("h2", {}, "What to do"), classTable(classes, choose)),
    change(advice),
    h(
      "section",
      { class: "card wide" },
      h("h2", {}, "Over time"),
      h("div", { class: "chart" }, canvas),
      h("details", {}, h("summary", {}, "Figures"), figures),
    ),
    h("section", { class: "card" }, h("h2", {}, "What became of the mail"), outcomes(rows, choose)),
    h("section", { class: "card" }, h("h2", {}, "Whose fault"), bars(tally(rows, (row) => row.fault), "fault", choose)),
    top("Clients", rows, "relay", choose),
    top("Stages", rows, "stage", choose),
    top("Milters", rows, "filter", choose),
    top("Timeouts of INPUT_MAIL_FILTER that ran out", rows, "timeout", choose),
  );
  return {
    element,
    /** Draws what needs a place on the page. */
    draw() {
      const { chart, labels, series } = timeChart(canvas, rows, classes.map(({ name }) => name), colours(classes));
      figures.append(figureTable(labels, series));
      return chart;
    },
  };
}

function byClass(rows) {
  const order = Object.fromEntries(URGENCIES.map(([urgency], at) => [urgency, at]));
  const first = new Map();
  for (const row of rows) if (!first.has(row.class)) first.set(row.class, row);
  const classes = tally(rows, (row) => row.class).map(([name, count]) => ({ name, count, ...pick(first.get(name)) }));
  return classes.sort((a, b) => order[a.urgency] - order[b.urgency] || b.count - a.count);
}

const pick = ({ urgency, fault, advice }) => ({ urgency, fault, advice });

/** The name of each class's colour: warm where somebody has to act. */
function colours(classes) {
  const used = { act: 0, look: 0, ignore: 0 };
  const names = new Map(classes.map(({ name, urgency }) => [name, `--${urgency}-${(used[urgency]++ % 5) + 1}`]));
  return (name) => names.get(name);
}

function warning(rows, choose) {
  const count = rows.filter((row) => row.outcome === UNSCANNED).length;
  if (count === 0) return undefined;
  return h(
    "section",
    { class: "warning", "aria-label": "Delivered unscanned" },
    h("p", {}, h("strong", {}, many(count, "message was", "messages were"), " delivered unscanned"), ": PureMessage had not given its verdict."),
    h("button", { type: "button", click: () => choose("outcome", UNSCANNED) }, "Show them"),
  );
}

function tiles(rows, choose) {
  return URGENCIES.map(([urgency, text]) => {
    const count = rows.filter((row) => row.urgency === urgency).length;
    return h(
      "button",
      { type: "button", class: `tile ${urgency}`, click: () => choose("urgency", urgency) },
      h("span", { class: "count" }, number(count)),
      h("span", {}, text),
    );
  });
}

function classTable(classes, choose) {
  const head = h("tr", {}, ["Class", "Count", "Fault", "What to do"].map((text) => h("th", { scope: "col" }, text)));
  const body = classes.map(({ name, count, urgency, fault, advice }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", class: "name" }, h("span", { class: `dot ${urgency}` }), choice(words(name), "class", name, choose)),
      h("td", { class: "number" }, number(count)),
      h("td", {}, words(fault)),
      h("td", { class: "advice" }, advice),
    ),
  );
  return h("div", { class: "listed" }, table(head, body));
}

/** What to change, with the number, and how long PureMessage takes. */
function change(advice) {
  if (!advice || (advice.steps.length === 0 && !advice.took)) return undefined;
  const { steps, took, limits } = advice;
  const seconds = (time) => `${time.toLocaleString("en", { maximumSignificantDigits: 3 })} s`;
  const times =
    took &&
    `PureMessage took ${seconds(took.p50)} for half of ${many(took.messages, "message")}, ${seconds(took.p95)} for 95 %, ` +
      `${seconds(took.p99)} for 99 %, ${seconds(took.max)} at most.`;
  const step = ({ text, setting }) => h("li", {}, text, setting ? h("pre", {}, setting) : undefined);
  return h(
    "section",
    { class: "card wide change" },
    h("h2", {}, "What to change"),
    steps.length > 0 ? h("ol", {}, steps.map(step)) : h("p", {}, "Nothing that these logs tell."),
    times ? h("p", { class: "quiet" }, times) : undefined,
    limits.map((limit) => h("p", { class: "quiet" }, `Not told: ${limit}`)),
  );
}

function outcomes(rows, choose) {
  const list = tally(rows, (row) => row.outcome);
  list.sort((a, b) => (b[0] === UNSCANNED) - (a[0] === UNSCANNED));
  return bars(list, "outcome", choose);
}

/** A list with a bar for each count. */
function bars(list, field, choose) {
  const most = Math.max(...list.map(([, count]) => count), 1);
  const items = list.map(([name, count]) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.inlineSize = `${(100 * count) / most}%`;
    return h("li", {}, choice(words(name), field, name, choose), h("span", { class: "number" }, number(count)), bar);
  });
  return h("ul", { class: "bars" }, items);
}

function top(title, rows, field, choose) {
  const list = tally(rows, (row) => row[field]);
  if (list.length === 0) return undefined;
  const rest = list.length > 8 ? h("p", { class: "quiet" }, `and ${number(list.length - 8)} more`) : undefined;
  return h("section", { class: "card" }, h("h2", {}, title), bars(list.slice(0, 8), field, choose), rest);
}

const choice = (text, field, value, choose) =>
  h("button", { type: "button", class: "link", click: () => choose(field, value) }, h("bdi", {}, short(text)));

function figureTable(labels, series) {
  const head = h("tr", {}, ["From", ...series.map(([name]) => words(name))].map((text) => h("th", { scope: "col" }, text)));
  const body = labels.map((label, at) =>
    h("tr", {}, h("th", { scope: "row" }, label), series.map(([, counts]) => h("td", { class: "number" }, number(counts[at])))),
  );
  return table(head, body);
}
