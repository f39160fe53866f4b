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

  constructor({ config = {}, highWaterMark = 16 } = {}) {
    super({ objectMode: true, highWaterMark });
    this.#engine = new Engine(typeof config === "string" ? config : JSON.stringify(config));
  }

  stats() {
    return JSON.parse(this.#stats ?? this.#engine.stats());
  }

  _transform(record, _encoding, done) {
    const line = typeof record === "string";
    const text = line ? record : json(record);
    if (text === undefined || text.includes("\n")) {
      // No JSON (a cycle, a BigInt), or more than a line: not for the engine.
      this.push(record);
      done();
      return;
    }
    this.#ticket += 1;
    const form = line ? Form.Line : Form.Record;
    const [disposition = Disposition.Forward] =
      this.#engine.push(Source.Auto, form, encoder.encode(text), this.#ticket, now());
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
    while (this.#waiting.length > 0) this.push(this.#waiting.shift());
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
    for (let more = true; more; ) {
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
    const due = this.#engine.pollTimeout();
    if (due === undefined) return;
    this.#timer = setTimeout(() => {
      this.#engine.advance(now());
      this.#drain();
    }, Math.min(Math.max(due - now(), 1), LONGEST));
  }

  // The record that came in, with its reason: what JSON can't say of it stays as it was.
  #enriched(issued, ticket) {
    const record = this.#held.get(ticket);
    return typeof record === "object" ? { ...record, abort: issued.abort } : issued;
  }

  #give() {
    while (!this.#full && this.#waiting.length > 0) this.#full = !this.push(this.#waiting.shift());
  }
}

// Milliseconds that never go back.
function now() {
  return Math.floor(performance.now());
}

function json(record) {
  try {
    return JSON.stringify(record);
  } catch {
    return undefined;
  }
}
