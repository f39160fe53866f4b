// Bundles the report into one file without data, `bundled/report.html`: `abort-reason explain --format html` puts the records
// in the place of its mark. The policy of the page names the one script and the one style that may be.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const options = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "inline", charset: "utf8" };
const [script] = (await build({ ...options, entryPoints: ["report/report.js"], format: "esm" })).outputFiles;
const [style] = (await build({ ...options, entryPoints: ["report/report.css"] })).outputFiles;
const hash = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`;
// Nothing in the script may end its element.
const code = script.text.replaceAll("</script", "<\\/script");
const parts = {
  "%SCRIPT_HASH%": hash(code),
  "%STYLE_HASH%": hash(style.text),
  "%STYLE%": style.text,
  "%SCRIPT%": code,
};
const html = Object.entries(parts).reduce(
  (text, [mark, part]) => text.replace(mark, () => part),
  readFileSync("report/report.html", "utf8"),
);
mkdirSync("bundled", { recursive: true });
writeFileSync("bundled/report.html", html);
