// The npm package in a browser: served as it is, and behind a bundler. PACKAGE: its folder.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { launch, withPage } from "./browser.mjs";

const { PACKAGE } = process.env;
const types = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const bundled = mkdtempSync(join(tmpdir(), "abort-reason-"));
let browser;
let server;
let origin;

// The page of the README, and what it then does.
const use = (from) => `import { init, Engine, Form, Source } from "${from}";
  const text = (line) => new TextEncoder().encode(line);
  await init(globalThis.module);
  const engine = new Engine('{"filter_names":["PureMessage"]}');
  engine.push(Source.Mail, Form.Line, text("Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt"), 0, 0);
  engine.push(Source.MessageLog, Form.Line, text("2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> r=relay.example.com tm=6.04 a=c/abort"), 0, 0);
  engine.finish();
  document.title = JSON.parse(new TextDecoder().decode(engine.poll(9).takeData())).abort.class;`;
const html = (script) => `<!doctype html><link rel="icon" href="data:,"><script type="module">${script}</script>`;

before(async () => {
  const entry = { contents: use(join(PACKAGE, "web.js")), resolveDir: PACKAGE, loader: "js" };
  await build({ stdin: entry, bundle: true, format: "esm", target: "es2022", outfile: join(bundled, "app.js") });
  const pages = {
    "/plain.html": html(use("/web.js")),
    "/bundled.html": html('globalThis.module = "/abort_reason_bg.wasm"; await import("/app.js");'),
    "/app.js": readFileSync(join(bundled, "app.js")),
  };
  server = createServer((request, response) => {
    const content = pages[request.url] ?? readFileSync(join(PACKAGE, request.url));
    response.writeHead(200, { "content-type": types[extname(request.url)] }).end(content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await launch();
});
after(async () => {
  await browser.close();
  server.close();
});

for (const page of ["plain", "bundled"]) {
  test(page, () =>
    withPage(browser, {}, `${origin}/${page}.html`, async (page) => {
      await page.waitForFunction(() => document.title !== "", undefined, { timeout: 20_000 });
      assert.equal(await page.title(), "filter_timeout");
    }),
  );
}
