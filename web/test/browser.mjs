// A real Chromium for the tests, and what every page must hold to.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const flags = [
  // A container's root can't have Chromium's sandbox.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });

/** Runs `visit` with a page that must not complain, load anything from elsewhere, nor be hard to use for anybody. */
export async function withPage(browser, options, url, visit) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => complaints.push(`a dialog: ${dialog.message()}`));
    const origin = new URL(url).origin;
    page.on("request", (request) => {
      const there = new URL(request.url());
      const own = there.origin === origin || ["data:", "blob:"].includes(there.protocol);
      if (!own) complaints.push(`a request to ${request.url()}`);
    });
    await page.goto(url);
    await visit(page, context).catch((error) => assert.fail(`${error.message}\n${complaints.join("\n")}`));
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

/** Nothing on the page is wider than the screen. */
export async function fits(page) {
  const tooWide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  assert.ok((await page.evaluate(tooWide)) <= 0, "wider than the screen");
}

/** Asks axe. The page's own policy keeps it out, so the page is opened again without one. */
export async function accessible(browser, options, url, prepare) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options, bypassCSP: true });
  try {
    const page = await context.newPage();
    await page.goto(url);
    await prepare(page);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
  } finally {
    await context.close();
  }
}
