// Bundles what a browser shows, each into one file that loads nothing; the policy of each names the one script and the one
// style that may be.
//
//   node bundle.mjs report        bundled/report.html: the report without data; `abort-reason explain --format html` puts the
//                                 records in the place of its mark
//   node bundle.mjs page OUTPUT   the page, with the module of target/page/ and an example
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const options = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "inline", charset: "utf8" };
const bundle = async (entry, more) => (await build({ ...options, ...more, entryPoints: [entry] })).outputFiles[0].text;
const packed = (bytes) => gzipSync(bytes, { level: 9 }).toString("base64");

/** A page of its template: the parts in the places of their marks. */
async function write(output, template, entry, style, more = {}) {
  // Nothing in the script may end its element.
  const script = (await bundle(entry, { format: "esm" })).replaceAll("</script", "<\\/script");
  const css = await bundle(style);
  const hash = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`;
  const parts = { ...more, SCRIPT_HASH: hash(script), STYLE_HASH: hash(css), STYLE: css, SCRIPT: script };
  const html = Object.entries(parts).reduce(
    (text, [mark, part]) => text.replace(`%${mark}%`, () => part),
    readFileSync(template, "utf8"),
  );
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, html);
}

const [what, output] = process.argv.slice(2);
if (what === "report") {
  await write("bundled/report.html", "report/report.html", "report/report.js", "report/report.css");
} else {
  // The glue can also load its module from beside itself, by `import.meta`; the worker is handed the module instead.
  const worker = await bundle("page/worker.js", { format: "iife", logOverride: { "empty-import-meta": "silent" } });
  const example = (name) => {
    const bytes = readFileSync(`../tests/corpus/mixed/${name}`);
    return `<script type="text/plain" class="example" data-name="${name}">${packed(bytes)}</script>`;
  };
  await write(output, "page/page.html", "page/page.js", "page/page.css", {
    WORKER: packed(worker),
    MODULE: packed(readFileSync("../target/page/abort_reason_bg.wasm")),
    EXAMPLES: ["maillog.iso", "message_log"].map(example).join("\n"),
  });
}
