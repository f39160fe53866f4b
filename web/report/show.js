// Puts the report on a page.
import { overview } from "./overview.js";
import { Table } from "./table.js";
import { h, many, number } from "./text.js";

/**
 * Shows the records in `main`; `meta` says what was read. Extra elements (downloads) stand in the headline. Gives what lets go
 * of them again.
 */
export function show(main, records, meta, ...extra) {
  const { rows } = records;
  const times = rows.map((row) => row.time).filter((time) => time !== "");
  const span = times.length === 0 ? "" : period(times);
  const headline = h(
    "section",
    { class: "headline" },
    h("p", {}, h("strong", {}, rows.length === 0 ? "No aborts" : many(rows.length, "abort")), span),
    h("p", { class: "quiet" }, read(meta)),
    ...extra,
  );
  if (rows.length === 0) {
    main.replaceChildren(headline);
    return () => {};
  }
  const table = new Table(records);
  const { element, draw } = overview(rows, meta.advice, (field, value) => table.show(field, value));
  main.replaceChildren(headline, element, table.element);
  const chart = draw();
  const gone = new AbortController();
  const { signal } = gone;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.update(), { signal });
  addEventListener("beforeprint", () => chart.resize(), { signal });
  return () => {
    gone.abort();
    chart.destroy();
  };
}

function period(times) {
  let [first, last] = [times[0], times[0]];
  for (const time of times) {
    if (time < first) first = time;
    if (time > last) last = time;
  }
  const text = (time) => time.slice(0, 16).replace("T", " ");
  return ` from ${text(first)} to ${text(last)}`;
}

function read({ mail, message_log: entries, unreadable, cut }) {
  const lost = unreadable > 0 ? `${number(unreadable)} could not be read` : "all could be read";
  const long = cut > 0 ? `; ${many(cut, "line was", "lines were")} longer than 1 MiB and cut` : "";
  return `Read ${many(mail, "line")} of the mail log and ${number(entries)} of message_log; ${lost}${long}.`;
}
