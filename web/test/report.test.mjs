// The report of `explain --format html` in a real browser. REPORT: that of the corpus; HOSTILE: one of a log in which
// strangers wrote what they could.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, fits, launch, withPage } from "./browser.mjs";

const report = pathToFileURL(process.env.REPORT).href;
const hostile = pathToFileURL(process.env.HOSTILE).href;
const shots = process.env.SHOTS;
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const opened = async (page) => {
  await page.waitForSelector(".headline");
  await page.locator("button.open").first().click();
  await page.waitForSelector(".detail");
};

const looks = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, colorScheme: "light" },
};

for (const [name, options] of Object.entries(looks)) {
  test(`${name}: it shows, and anybody can use it`, async () => {
    await withPage(browser, options, report, async (page) => {
      await opened(page);
      await fits(page);
      if (shots) await page.screenshot({ path: `${shots}/report-${name}.png`, fullPage: true });
    });
    await accessible(browser, options, report, opened);
  });
}

test("the figures, the filters, the evidence", async () => {
  await withPage(browser, {}, report, async (page) => {
    await page.waitForSelector(".headline");
    const text = await page.locator("main").innerText();
    assert.match(text, /535 aborts from 2026-11-23/);
    assert.match(text, /37 messages were delivered unscanned/);
    assert.match(text, /What to change/i);
    assert.match(text, /37 messages were delivered without PureMessage's verdict/);
    assert.match(text, /INPUT_MAIL_FILTER\(`PureMessage', `S=\.\.\., F=T, T=\.\.\.'\)dnl/);
    assert.match(text, /PureMessage took [\d.]+ s for half of/);
    const counts = await page.locator(".tile .count").allInnerTexts();
    assert.equal(counts.map(Number).reduce((sum, count) => sum + count), 535);

    const status = page.locator(".aborts [role=status]");
    assert.match(await status.innerText(), /309 aborts shown. 226 that can be ignored are folded away/);
    await status.getByRole("button").click();
    assert.match(await status.innerText(), /535 aborts shown/);

    await page.locator(".warning button").click();
    assert.match(await status.innerText(), /37 aborts shown/);
    await page.getByRole("button", { name: "Show any outcome again" }).click();
    await page.getByRole("combobox", { name: "Class" }).selectOption("peer_disconnected");
    assert.match(await status.innerText(), /87 aborts shown/);
    await page.getByRole("combobox", { name: "Class" }).selectOption("");

    await page.getByRole("searchbox").fill("6ANCpD2j014088");
    assert.match(await status.innerText(), /1 abort shown/);
    await page.keyboard.press("Tab");
    await page.locator("button.open").focus();
    await page.keyboard.press("Enter");
    const detail = await page.locator(".detail").innerText();
    assert.match(detail, /Milter \(PureMessage\): timeout before data read, where=header/);
    assert.match(detail, /Raise the timeout/);
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".detail").count(), 0);

    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: /^Queue id/ }).click();
    const ids = await page.locator("button.open").allInnerTexts();
    assert.deepEqual(ids, [...ids].sort((a, b) => (a < b ? -1 : 1)));
    await page.getByRole("button", { name: "Later" }).focus();
    await page.keyboard.press("Enter");
    assert.match(await page.locator(".pager").innerText(), /page 2 of/);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Later");

    // Who double-clicks an id wants to copy it.
    const rows = await page.locator("button.open").count();
    await page.locator("button.open").first().dblclick();
    await page.waitForTimeout(200);
    assert.equal(await page.locator("button.open").count(), rows);
    assert.equal(await page.locator(".detail").count(), 0);
  });
});

test("what strangers wrote is text", async () => {
  await withPage(browser, {}, hostile, async (page) => {
    await opened(page);
    assert.equal(await page.evaluate(() => globalThis.broken), undefined);
    assert.equal(await page.locator("main img, main script").count(), 0);
    const text = await page.locator("main").innerText();
    assert.match(text, /<script>broken=1<\/script>/);
    assert.match(text, /<img src=x onerror=broken=1>/);
    assert.match(text, /\\u\{202e\}/);
    assert.match(text, /\\u\{1b\}\[31m/);
    assert.doesNotMatch(text, /[\u202e\u001b\u3164]|\u0300{4}/);
    // What is searched for is what is seen.
    await page.getByRole("searchbox").fill("\\u{202e}moc");
    assert.match(await page.locator(".aborts [role=status]").innerText(), /1 abort shown/);
  });
});

test("on paper", async () => {
  await withPage(browser, {}, report, async (page) => {
    await page.waitForSelector(".headline");
    const paper = await page.pdf({ format: "A4" });
    assert.ok(paper.length > 20_000);
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator(".filters").isVisible(), false);
  });
});
