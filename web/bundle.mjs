// Bundles what a browser shows, each into one file that loads nothing; the policy of each names the one script and the one
// style that may be.
//
//   node bundle.mjs report        bundled/report.html: the report without data; `abort-reason explain --format html` puts the
//                                 records in the place of its mark
//   node bundle.mjs page OUTPUT FOLDER   the page, with the module in a folder and an example
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const options = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "inline", charset: "utf8" };
const bundle = async (entry, more) => (await build({ ...options, ...more, entryPoints: [entry] })).outputFiles[0].text;
const packed = (bytes) => gzipSync(bytes, { level: 9 }).toString("base64");

/** A page: its body from a template with the parts in the places of their marks, and all that pages have in common. */
async function write(output, { title, policy = "", body, script: entry, style, parts = {} }) {
  // Nothing in the script may end its element.
  const script = (await bundle(entry, { format: "esm" })).replaceAll("</script", "<\\/script");
  const css = await bundle(style);
  const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const filled = Object.entries(parts).reduce(
    (text, [mark, part]) => text.replace(`%${mark}%`, () => part),
    readFileSync(body, "utf8"),
  );
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${hash(css)}; script-src ${hash(script)}${policy}; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="abort-reason">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${css}</style>
</head>
<body>
${filled}<script type="module">${script}</script>
</body>
</html>
`;
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, html);
}

const [what, output, folder] = process.argv.slice(2);
if (what === "report") {
  await write("bundled/report.html", {
    title: "Why mail was aborted",
    body: "report/report.html",
    script: "report/report.js",
    style: "report/report.css",
  });
} else {
  // The glue can also load its module from beside itself, by `import.meta`; the worker is handed the module instead.
  const worker = await bundle("page/worker.js", {
    format: "iife",
    logOverride: { "empty-import-meta": "silent" },
    alias: { "abort-reason-page": resolve(folder, "abort_reason.js") },
  });
  const example = (name) => {
    const bytes = readFileSync(`../tests/corpus/mixed/${name}`);
    return `<script type="text/plain" class="example" data-name="${name}">${packed(bytes)}</script>`;
  };
  await write(output, {
    title: "Why did PureMessage abort?",
    policy: " 'wasm-unsafe-eval'; worker-src blob:",
    body: "page/page.html",
    script: "page/page.js",
    style: "page/page.css",
    parts: {
      WORKER: packed(worker),
      MODULE: packed(readFileSync(resolve(folder, "abort_reason_bg.wasm"))),
      EXAMPLES: ["maillog.iso", "message_log"].map(example).join("\n"),
    },
  });
}
