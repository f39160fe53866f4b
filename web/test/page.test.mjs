// The page in a real browser, opened as the file that it is. PAGE: the page; LOGS: a folder with maillog, message_log,
// a mail log packed as maillog.gz, and explained.ndjson, what `explain` says of the three.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, fits, launch, withPage } from "./browser.mjs";

const { PAGE, LOGS, SHOTS } = process.env;
const url = pathToFileURL(PAGE).href;
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const choose = (page, ...names) => page.locator("#files").setInputFiles(names.map((name) => `${LOGS}/${name}`));
const shown = (page) => page.waitForSelector(".headline", { timeout: 60_000 });
const looks = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true },
};

for (const [name, options] of Object.entries(looks)) {
  test(`${name}: the start and the example`, async () => {
    await withPage(browser, options, url, async (page) => {
      if (SHOTS) await page.screenshot({ path: `${SHOTS}/page-${name}.png` });
      await fits(page);
      await page.getByRole("button", { name: "Try an example" }).click();
      await shown(page);
      if (SHOTS) await page.screenshot({ path: `${SHOTS}/page-${name}-example.png` });
      assert.equal(await page.locator("#choose").isVisible(), false);
      await fits(page);
    });
    await accessible(browser, options, url, async () => {});
    await accessible(browser, options, url, async (page) => {
      await page.getByRole("button", { name: "Try an example" }).click();
      await shown(page);
    });
  });
}

test("chosen files, and the records as `explain` gives them", async () => {
  await withPage(browser, {}, url, async (page, context) => {
    await context.setOffline(true);
    await choose(page, "message_log", "maillog.gz", "maillog");
    await shown(page);
    const saved = async (button) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button }).click()]);
      return readFileSync(await download.path(), "utf8");
    };
    assert.equal(await saved("Download as NDJSON"), readFileSync(`${LOGS}/explained.ndjson`, "utf8"));
    assert.equal(await saved("Download as CSV"), readFileSync(`${LOGS}/explained.csv`, "utf8"));
    await page.getByRole("button", { name: "Other logs" }).click();
    assert.ok(await page.locator("#choose").isVisible());
  });
});

test("dropped files", async () => {
  await withPage(browser, {}, url, async (page) => {
    const files = ["maillog", "message_log"].map((name) => ({ name, text: readFileSync(`${LOGS}/${name}`, "utf8") }));
    const transfer = await page.evaluateHandle((files) => {
      const transfer = new DataTransfer();
      for (const { name, text } of files) transfer.items.add(new File([text], name));
      return transfer;
    }, files);
    await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
    assert.match(await page.locator("#choose").getAttribute("class"), /over/);
    await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
    await shown(page);
    assert.match(await page.locator(".headline").innerText(), /aborts/);
  });
});

test("what can't be read is said", async () => {
  writeFileSync(`${LOGS}/strange`, "this is\nno log\n");
  writeFileSync(`${LOGS}/broken.gz`, readFileSync(`${LOGS}/maillog.gz`).subarray(0, 300));
  writeFileSync(`${LOGS}/empty`, "");
  await withPage(browser, {}, url, async (page) => {
    const alert = page.getByRole("alert");
    await choose(page, "strange");
    await alert.getByText("strange is neither sendmail's log nor PureMessage's message_log").waitFor();
    await choose(page, "broken.gz");
    await alert.getByText("broken.gz ends in the middle of its compressed data").waitFor();
    await choose(page, "empty");
    await shown(page);
    assert.match(await page.locator(".headline").innerText(), /No aborts/);
  });
});

test("progress and cancel", async () => {
  // Large enough to be seen at work.
  const log = readFileSync(`${LOGS}/maillog`, "utf8");
  writeFileSync(`${LOGS}/large`, log.repeat(Math.ceil(40e6 / log.length)));
  await withPage(browser, {}, url, async (page) => {
    await choose(page, "large");
    await page.getByText(/Read \d+ of \d+ MB/).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("alert").getByText("Cancelled.").waitFor();
    assert.equal(await page.locator("progress").count(), 0);
    await choose(page, "maillog", "message_log");
    await shown(page);
  });
});
