// The page: takes the files, lets the worker explain them, and shows the report. Nothing leaves the browser: the page's
// policy allows no connection to anywhere.
import { Records, unpackBytes } from "../report/data.js";
import { show } from "../report/show.js";
import { h, number } from "../report/text.js";

const main = document.querySelector("main");
const choose = document.getElementById("choose");
const input = document.getElementById("files");
const filter = document.getElementById("filter");
const message = document.getElementById("message");
const embedded = (id) => unpackBytes(document.getElementById(id).textContent.trim());

// The worker and the module, unpacked once.
const parts = Promise.all([embedded("worker"), embedded("module")]).then(([worker, module]) => ({
  worker: URL.createObjectURL(new Blob([worker], { type: "text/javascript" })),
  module,
}));

input.addEventListener("change", () => {
  if (input.files.length > 0) start([...input.files].map((file) => ({ name: file.name, file })));
  input.value = "";
});
document.getElementById("example").addEventListener("click", async () => {
  const files = [...document.querySelectorAll("script.example")].map(async (part) => ({
    name: part.dataset.name,
    file: new Blob([await unpackBytes(part.textContent.trim())]),
  }));
  start(await Promise.all(files));
});

// Files may be dropped anywhere.
let inside = 0;
const over = (by) => {
  inside = Math.max(0, inside + by);
  choose.classList.toggle("over", inside > 0);
};
addEventListener("dragenter", (event) => (event.preventDefault(), over(1)));
addEventListener("dragleave", () => over(-1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over(-inside);
  const folder = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).find((entry) => entry?.isDirectory);
  const files = [...event.dataTransfer.files].map((file) => ({ name: file.name, file }));
  if (folder) say(`${folder.name} is a folder: choose the log files in it.`);
  else if (files.length > 0) start(files);
});

let cancel = () => {};
let dispose = () => {};

async function start(files) {
  cancel();
  dispose();
  say("");
  const total = files.reduce((sum, { file }) => sum + file.size, 0);
  const bar = h("progress", { max: Math.max(total, 1), value: 0, "aria-label": "Reading the logs" });
  const text = h("p", { role: "status" }, "Reading …");
  const stop = h("button", { type: "button", click: () => back("Cancelled.") }, "Cancel");
  main.replaceChildren(h("section", { class: "card working" }, text, bar, stop));
  choose.hidden = true;
  stop.focus();

  let worker;
  let gone = false;
  cancel = () => {
    gone = true;
    worker?.terminate();
    cancel = () => {};
  };
  const back = (why) => {
    cancel();
    dispose();
    main.replaceChildren();
    choose.hidden = false;
    say(why);
    input.focus();
  };
  const failed = (error) => back(`This can't be worked out in this browser: ${error.message}`);
  try {
    const { worker: url, module } = await parts;
    if (gone) return;
    worker = new Worker(url);
    worker.onerror = failed;
    worker.onmessage = ({ data }) => {
      if (data.error !== undefined) back(data.error);
      else if (data.progress !== undefined) {
        bar.value = data.progress;
        text.textContent = `Read ${megabytes(data.progress)} of ${megabytes(total)} MB`;
      } else if (data.blocks) {
        text.textContent = "Drawing …";
        const drawn = (records) => gone || finish(records, data, worker, back);
        new Records(data.blocks).read().then(drawn).catch(failed);
      }
    };
    const names = filter.value.split(/[\s,]+/).filter(Boolean);
    worker.postMessage({ module, files, config: JSON.stringify(names.length > 0 ? { filter_names: names } : {}) });
  } catch (error) {
    failed(error);
  }
}

function finish(records, { meta, warnings }, worker, back) {
  const csv = () => {
    worker.onmessage = ({ data }) => (data.csv ? save("aborts.csv", "text/csv", [data.csv]) : say(data.error));
    worker.postMessage({ csv: true });
  };
  const ndjson = async () => {
    const pieces = [];
    for await (const piece of records.ndjson()) pieces.push(piece);
    save("aborts.ndjson", "application/x-ndjson", pieces);
  };
  const button = (text, click) => h("button", { type: "button", click }, text);
  const actions = h("p", { class: "actions" }, button("Other logs", () => back("")), button("Download as NDJSON", ndjson), button("Download as CSV", csv));
  const strange = warnings.map((warning) => h("p", { class: "quiet" }, warning));
  dispose = show(main, records, meta, ...strange, actions);
  scrollTo({ top: 0 });
}

function save(name, type, pieces) {
  const url = URL.createObjectURL(new Blob(pieces, { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function say(text) {
  message.replaceChildren(...text.split("\n").filter(Boolean).map((line) => h("p", {}, line)));
}

const megabytes = (bytes) => number(Math.round(bytes / 1e6));
