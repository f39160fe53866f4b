// The records: gzipped blocks of NDJSON. Of each record a row is kept that the page shows, sorts and filters by; the record
// itself, with its evidence, is unpacked again when somebody opens the row.

const unpacked = (packed) => {
  const bytes = typeof packed === "string" ? Uint8Array.from(atob(packed), (digit) => digit.charCodeAt(0)) : packed;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
};

/** What gzip packed, as text; `packed`: base64 text or bytes. */
const unpack = (packed) => unpacked(packed).text();

/** The same as bytes. */
export const unpackBytes = async (packed) => new Uint8Array(await unpacked(packed).arrayBuffer());

const lines = (text) => text.split("\n").filter((line) => line !== "");

export class Records {
  rows = [];
  #blocks;
  // One copy of each text: most rows share theirs.
  #texts = new Map();
  #open = { number: -1, lines: [] };

  /** `blocks`: base64 text or bytes, each a gzipped piece of NDJSON. */
  constructor(blocks) {
    this.#blocks = blocks;
  }

  /** Makes the rows, a block at a time, so that the page stays awake; calls `progress` with the share that is done. */
  async read(progress = () => {}) {
    for (let block = 0; block < this.#blocks.length; block += 1) {
      lines(await unpack(this.#blocks[block])).forEach((line, at) => this.#add(JSON.parse(line).abort, block, at));
      if (block % 8 === 7) {
        progress((block + 1) / this.#blocks.length);
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
    this.#texts.clear();
    return this;
  }

  /** The whole record of a row. */
  async record(row) {
    if (this.#open.number !== row.block) {
      this.#open = { number: row.block, lines: lines(await unpack(this.#blocks[row.block])) };
    }
    return JSON.parse(this.#open.lines[row.at]);
  }

  /** All records as NDJSON, a block at a time. */
  async *ndjson() {
    for (const block of this.#blocks) yield unpack(block);
  }

  #add(abort, block, at) {
    const shared = (text) => {
      if (typeof text !== "string") return text;
      if (!this.#texts.has(text)) this.#texts.set(text, text);
      return this.#texts.get(text);
    };
    this.rows.push({
      block,
      at,
      time: abort.time ?? "",
      kind: shared(abort.kind),
      id: abort.queue_id,
      host: shared(abort.host ?? ""),
      from: abort.from ?? "",
      to: (abort.to ?? []).join(" "),
      relay: shared(abort.relay ?? ""),
      class: shared(abort.class),
      fault: shared(abort.fault),
      // Whether somebody has to act, may have to, or can let it be.
      urgency: abort.ignorable === false ? "act" : abort.ignorable === true ? "ignore" : "look",
      status: shared(abort.status),
      outcome: shared(abort.outcome),
      stage: shared(abort.stage ?? ""),
      filter: shared(abort.filter ?? ""),
      timeout: shared(abort.timeout ?? ""),
      reason: shared(abort.reason ?? ""),
      advice: shared(abort.advice?.text ?? ""),
    });
  }
}

/** Rows counted by what `key` gives, the most frequent first. */
export function tally(rows, key) {
  const counts = new Map();
  for (const row of rows) {
    const name = key(row);
    if (name !== "") counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
