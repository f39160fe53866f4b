// The work, beside the page: reads the files piece by piece, and says how far it is. Everything stays in this browser.
import { Explanation, Logs, initSync } from "../../target/page/abort_reason.js";

const LINES = 8192;
const PROGRESS_MS = 100;
let records;

/** A file as the module reads it. */
class Pieces {
  #file;
  #reader = new FileReaderSync();

  constructor(file) {
    this.#file = file;
  }

  read(offset, length) {
    return new Uint8Array(this.#reader.readAsArrayBuffer(this.#file.slice(offset, offset + length)));
  }
}

function explain({ module, config, files }) {
  initSync({ module });
  const logs = new Logs();
  for (const { name, file } of files) logs.add(name, new Pieces(file));
  const explanation = new Explanation(config, logs);
  let told = 0;
  while (explanation.step(LINES)) {
    if (performance.now() - told > PROGRESS_MS) {
      told = performance.now();
      postMessage({ progress: explanation.bytesRead() });
    }
  }
  const [meta, warnings] = [JSON.parse(explanation.counts()), explanation.warnings()];
  records = explanation.records();
  const blocks = [];
  for (let block = records.nextBlock(); block !== undefined; block = records.nextBlock()) blocks.push(block);
  postMessage({ blocks, meta, warnings }, blocks.map(({ buffer }) => buffer));
}

onmessage = ({ data }) => {
  try {
    if (data.csv) postMessage({ csv: records.csv() });
    else explain(data);
  } catch (error) {
    postMessage({ error: error.message });
  }
};
