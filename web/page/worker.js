// The work, beside the page: reads the files piece by piece, and says how far it is. Everything stays in this browser.
import { Explanation, Logs, initSync } from "abort-reason-page";

const LINES = 8192;
const PROGRESS_MS = 100;
let records;

// Bytes asked of the browser at a time: it keeps something of each request for a while.
const PIECE = 1 << 20;

/** A file as the module reads it. */
class Pieces {
  #file;
  #reader = new FileReaderSync();
  #piece = new Uint8Array();
  #start = 0;

  constructor(file) {
    this.#file = file;
  }

  get changed() {
    return this.#file.lastModified;
  }

  read(offset, length) {
    if (offset < this.#start || offset >= this.#start + this.#piece.length) {
      this.#start = offset;
      this.#piece = new Uint8Array(this.#reader.readAsArrayBuffer(this.#file.slice(offset, offset + PIECE)));
    }
    const from = offset - this.#start;
    return this.#piece.subarray(from, from + length);
  }
}

async function explain({ module, config, files }) {
  initSync({ module });
  const logs = new Logs();
  for (const { name, file } of files) logs.add(name, new Pieces(file));
  const explanation = new Explanation(config, logs);
  let told = 0;
  while (explanation.step(LINES)) {
    if (performance.now() - told > PROGRESS_MS) {
      told = performance.now();
      postMessage({ progress: explanation.bytesRead() });
      // Between two tasks the browser takes back what reading has left behind.
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  const [meta, warnings] = [JSON.parse(explanation.counts()), explanation.warnings()];
  records = explanation.records();
  meta.advice = JSON.parse(records.advice());
  const blocks = [];
  for (let block = records.nextBlock(); block !== undefined; block = records.nextBlock()) blocks.push(block);
  postMessage({ blocks, meta, warnings }, blocks.map(({ buffer }) => buffer));
}

onmessage = async ({ data }) => {
  try {
    if (data.csv) postMessage({ csv: records.csv() });
    else await explain(data);
  } catch (error) {
    postMessage({ error: error.message });
  }
};
