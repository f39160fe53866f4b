// A Transform stream for log pipelines in Node.
import { Transform } from "node:stream";
import { Disposition, Engine, Form, Source } from "./node.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const BATCH = 64;
// setTimeout can't wait longer.
const LONGEST = 2 ** 31 - 1;

export class AbortReasonStream extends Transform {
  #engine;
  // What came in and is held, by its ticket.
  #held = new Map();
  #ticket = 0;
  #timer;
  // Records that came with time wait for the reader.
  #waiting = [];
  #full = false;
  // The last word of an engine that is gone.
  #stats;

  constructor({ config, highWaterMark = 16 } = {}) {
    super({ objectMode: true, highWaterMark });
    this.#engine = new Engine(config);
  }

  stats() {
    return JSON.parse(this.#stats ?? this.#engine.stats());
  }

  _transform(record, _encoding, done) {
    const bytes = lineOrJson(record);
    if (bytes === undefined) {
      // No JSON (a cycle, a BigInt), or more than a line: not for the engine.
      this.push(record);
      done();
      return;
    }
    this.#ticket += 1;
    const form = isLine(record) ? Form.Line : Form.Record;
    const [disposition = Disposition.Forward] = this.#engine.push(Source.Auto, form, bytes, this.#ticket, now());
    if (disposition & Disposition.Keep) this.#held.set(this.#ticket, record);
    if (disposition & Disposition.Forward) this.push(record);
    this.#drain();
    done();
  }

  _flush(done) {
    clearTimeout(this.#timer);
    this.#engine.finish();
    this.#drain();
    // The reader has asked for the end: what is left goes out whether it is patient or not.
    while (this.#waiting.length > 0 && !this.destroyed) this.push(this.#waiting.shift());
    done();
  }

  _destroy(error, done) {
    clearTimeout(this.#timer);
    this.#stats ??= this.#engine.stats();
    this.#engine.free();
    super._destroy(error, done);
  }

  _read(size) {
    this.#full = false;
    this.#give();
    super._read(size);
  }

  // Takes what the engine has ready, and sets the clock for what it will have.
  #drain() {
    // A reader may destroy the stream while it is given a record.
    for (let more = true; more && !this.destroyed; ) {
      const batch = this.#engine.poll(BATCH);
      const records = decoder.decode(batch.takeData()).split("\n");
      const tickets = batch.tickets;
      tickets.forEach((ticket, at) => this.#waiting.push(this.#enriched(JSON.parse(records[at]), ticket)));
      for (const ticket of batch.released) this.#held.delete(ticket);
      more = batch.more;
      batch.free();
    }
    this.#give();
    clearTimeout(this.#timer);
    if (this.destroyed) return;
    const due = this.#engine.pollTimeout();
    if (due === undefined) return;
    this.#timer = setTimeout(() => {
      try {
        this.#engine.advance(now());
        this.#drain();
      } catch (error) {
        this.destroy(error);
      }
    }, Math.min(Math.max(due - now(), 1), LONGEST));
  }

  // The record that came in, with its reason: what JSON can't say of it stays as it was.
  #enriched(issued, ticket) {
    const record = this.#held.get(ticket);
    if (record === undefined || isLine(record)) return issued;
    const enriched = { ...issued, ...record };
    // In a profile's words there is none; a `null` in its place made room for it.
    if (issued.abort !== undefined) enriched.abort = issued.abort;
    return enriched;
  }

  #give() {
    while (!this.#full && !this.destroyed && this.#waiting.length > 0) this.#full = !this.push(this.#waiting.shift());
  }
}

// Milliseconds that never go back.
function now() {
  return Math.floor(performance.now());
}

const isLine = (record) => typeof record === "string" || record instanceof Uint8Array;

// What the engine is given: a line without its end, or JSON; nothing for what is neither.
function lineOrJson(record) {
  const text = isLine(record) ? record : json(record);
  if (text === undefined) return undefined;
  const line = typeof text === "string" ? encoder.encode(text) : text;
  const end = line.indexOf(10);
  if (end === -1) return line;
  return end === line.length - 1 ? line.subarray(0, end) : undefined;
}

function json(record) {
  try {
    return JSON.stringify(record);
  } catch {
    return undefined;
  }
}
