// Every abort: sorted, narrowed, a page at a time, and opened to its evidence.
import { tally } from "./data.js";
import { h, many, number, short, table, visible, withRoles, words } from "./text.js";

const PAGE = 50;
const COLUMNS = [
  ["time", "Time"],
  ["id", "Queue id"],
  ["class", "Class"],
  ["outcome", "Outcome"],
  ["from", "From"],
  ["relay", "Client"],
  ["reason", "Reason"],
];
const CHOICES = [
  ["class", "Class"],
  ["outcome", "Outcome"],
  ["fault", "Fault"],
  ["kind", "Kind"],
];
const SEARCHED = ["id", "host", "from", "to", "relay", "reason", "filter"];

export class Table {
  #records;
  // What narrows the rows: field to value.
  #narrowed = new Map();
  #search = h("input", {
    type: "search",
    placeholder: "queue id, address, client, reason …",
    "aria-label": "Search the aborts",
    input: () => this.#renew(),
  });
  #sort = { field: "time", down: false };
  #page = 0;
  #shown = [];
  // Rows that can be ignored are folded away until somebody asks.
  #folded = true;
  #body = h("tbody");
  #head = h("tr");
  #status = h("p", { role: "status", class: "quiet" });
  #chips = h("div", { class: "chips" });
  #pager = h("nav", { class: "pager", "aria-label": "Pages of the table" });
  #selects;

  constructor(records) {
    this.#records = records;
    this.#folded = records.rows.some((row) => row.urgency !== "ignore");
    this.#selects = new Map(
      CHOICES.map(([field, title]) => {
        const all = h("option", { value: "" }, `any ${title.toLowerCase()}`);
        const options = tally(records.rows, (row) => row[field]).map(([name, count]) =>
          h("option", { value: name }, `${words(name)} (${number(count)})`),
        );
        const select = h("select", { "aria-label": title, change: () => this.narrow(field, select.value) }, all, options);
        return [field, select];
      }),
    );
    this.element = h(
      "section",
      { class: "card wide aborts", id: "aborts" },
      h("h2", {}, "Each abort"),
      h("div", { class: "filters" }, this.#search, [...this.#selects.values()]),
      this.#chips,
      this.#status,
      h(
        "div",
        { class: "scroll listed", tabindex: 0, role: "region", "aria-label": "Aborts" },
        table(this.#head, this.#body),
      ),
      this.#pager,
    );
    this.#renew();
  }

  /** Shows only rows with a value in a field, or all of them again. */
  narrow(field, value) {
    if (value === "") this.#narrowed.delete(field);
    else this.#narrowed.set(field, value);
    this.#renew();
  }

  /** As `narrow`, from elsewhere on the page: goes there, too. */
  show(field, value) {
    this.#narrowed.clear();
    this.narrow(field, value);
    this.element.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    this.#search.focus({ preventScroll: true });
  }

  #renew() {
    const narrowed = [...this.#narrowed];
    const wanted = this.#search.value.trim().toLowerCase();
    // What is searched for is what is seen; there are escapes in it only where somebody looks for one.
    const seen = wanted.includes("\\u{") ? visible : (text) => text;
    const matches = (row) =>
      narrowed.every(([field, value]) => row[field] === value) &&
      (wanted === "" || SEARCHED.some((field) => seen(row[field]).toLowerCase().includes(wanted)));
    const found = this.#records.rows.filter(matches);
    // Who asks for something particular sees all of it.
    const asked = narrowed.length > 0 || wanted !== "";
    this.#shown = this.#folded && !asked ? found.filter((row) => row.urgency !== "ignore") : found;
    const { field, down } = this.#sort;
    const order = down ? -1 : 1;
    this.#shown.sort((a, b) => (a[field] < b[field] ? -order : a[field] > b[field] ? order : 0));
    this.#page = 0;
    this.#say(found.length - this.#shown.length);
    this.#draw();
  }

  #say(folded) {
    for (const [field, select] of this.#selects) select.value = this.#narrowed.get(field) ?? "";
    const chips = [...this.#narrowed].map(([field, value]) =>
      h("button", { type: "button", class: "chip", click: () => (this.narrow(field, ""), this.#selects.get(field)?.focus()), "aria-label": `Show any ${field} again` }, `${field}: ${words(value)}  ×`),
    );
    this.#chips.replaceChildren(...chips);
    this.#status.replaceChildren(`${many(this.#shown.length, "abort")} shown. `);
    if (folded > 0) {
      const unfold = () => {
        this.#folded = false;
        this.#renew();
        this.#search.focus();
      };
      this.#status.append(h("button", { type: "button", class: "link", click: unfold }, `${number(folded)} that can be ignored are folded away; show them`));
    }
  }

  #draw() {
    this.#head.replaceChildren(
      ...COLUMNS.map(([field, title]) => {
        const sorted = this.#sort.field === field;
        const sort = () => {
          this.#sort = { field, down: sorted && !this.#sort.down };
          this.#renew();
          this.#head.querySelector(`[data-field="${field}"]`).focus();
        };
        const arrow = sorted ? h("span", { "aria-hidden": "true" }, this.#sort.down ? " ▾" : " ▴") : undefined;
        return h(
          "th",
          { scope: "col", class: field, "aria-sort": sorted ? (this.#sort.down ? "descending" : "ascending") : undefined },
          h("button", { type: "button", class: "sort", "data-field": field, click: sort }, title, arrow),
        );
      }),
    );
    withRoles(this.#head);
    const rows = this.#shown.slice(this.#page * PAGE, (this.#page + 1) * PAGE);
    this.#body.replaceChildren(...rows.map((row) => this.#row(row)));
    if (rows.length === 0) this.#body.append(withRoles(h("tr", {}, h("td", { colspan: COLUMNS.length }, "Nothing matches."))));
    const pages = Math.ceil(this.#shown.length / PAGE);
    const turn = (by, text) =>
      h("button", { type: "button", disabled: this.#page + by < 0 || this.#page + by >= pages, click: () => this.#turn(by) }, text);
    this.#pager.replaceChildren(...(pages > 1 ? [turn(-1, "Earlier"), h("span", {}, `page ${number(this.#page + 1)} of ${number(pages)}`), turn(1, "Later")] : []));
  }

  #turn(by) {
    this.#page += by;
    this.#draw();
    // The button that was pressed, or the other one at the end.
    const [earlier, later] = this.#pager.querySelectorAll("button");
    const pressed = by < 0 ? earlier : later;
    (pressed.disabled ? (by < 0 ? later : earlier) : pressed).focus();
  }

  #row(row) {
    const open = h("button", { type: "button", class: "open", "aria-expanded": "false" }, h("bdi", {}, row.id));
    const cells = COLUMNS.map(([field]) => {
      switch (field) {
        case "time":
          return h("td", { class: "time" }, row.time.replace("T", " "));
        case "id":
          return h("th", { scope: "row", class: "id" }, open);
        case "class":
          return h("td", { class: "name" }, h("span", { class: `dot ${row.urgency}` }), words(row.class));
        case "outcome":
          return h("td", { class: row.outcome }, words(row.outcome));
        default:
          return h("td", { class: field }, h("bdi", {}, short(row[field])));
      }
    });
    const element = withRoles(h("tr", {}, cells));
    let shown;
    const expand = (expanded) => open.setAttribute("aria-expanded", String(expanded));
    open.addEventListener("click", async () => {
      if (open.getAttribute("aria-expanded") === "true") {
        expand(false);
        shown?.remove();
        return;
      }
      expand(true);
      const content = await this.#records.record(row).then(detail, unreadable);
      // It may have been closed again, or the page turned.
      if (open.getAttribute("aria-expanded") !== "true" || !element.isConnected) return;
      shown?.remove();
      shown = withRoles(h("tr", { class: "detail" }, h("td", { colspan: COLUMNS.length }, content)));
      element.after(shown);
    });
    return element;
  }
}

const unreadable = (error) => h("p", {}, `This record can't be unpacked: ${error.message}`);

/** All that is known of an abort. */
function detail({ message, abort }) {
  const facts = [
    ["From", abort.from],
    ["To", (abort.to ?? []).join(" ")],
    ["Client", abort.relay],
    ["Host", abort.host],
    ["Milter", abort.filter],
    ["Stage", abort.stage],
    ["Timeout", abort.timeout && `T=${abort.timeout}`],
    ["PureMessage took", abort.processing_secs === undefined ? undefined : `${abort.processing_secs} s`],
    ["Status", words(abort.status)],
    ["Why not", abort.why_not && words(abort.why_not)],
  ].filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h(
    "div",
    { class: "facts" },
    abort.advice ? h("p", { class: "advice" }, abort.advice.text) : undefined,
    h("dl", {}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, value))))),
    h("h3", {}, "Evidence"),
    (abort.evidence ?? []).length === 0
      ? h("p", {}, "No line of the mail log tells why.")
      : h(
          "ol",
          { class: "evidence" },
          abort.evidence.map((line) =>
            h("li", { class: line.rank }, h("span", { class: "quiet" }, `${line.time ?? ""} ${line.program}[${line.pid ?? ""}] · ${line.rank} · ${line.rule}`), h("code", {}, h("bdi", {}, line.text))),
          ),
        ),
    h("h3", {}, "Entry of message_log"),
    h("code", {}, h("bdi", {}, message ?? "none")),
  );
}
