// The browser of the tests: Debian's Chromium, or the one that CHROMIUM names.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Reason for which browser tests cannot run here, or false. */
export const MISSING = existsSync(CHROMIUM) ? false : `${CHROMIUM} is needed: install Debian's chromium, or set CHROMIUM`;

export const LAUNCH = {
  executablePath: CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
};

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Opens an empty page with a context of its own. `report` gets the texts that pages should not log. */
export async function newPage(browser, report, { width = 1600, height = 900, scheme = "light", bypassCSP = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, bypassCSP });
  const page = await context.newPage();
  page.on("console", (message) => report(message.text()));
  page.on("pageerror", (error) => report(String(error)));
  return page;
}

/** Opens an empty page that collects complaints: what it logs, and each request that `mayLoad` does not allow. */
export async function newStrictPage(browser, mayLoad, options) {
  const complaints = [];
  const page = await newPage(browser, (text) => complaints.push(text), options);
  page.complaints = complaints;
  page.on("request", (request) => {
    if (!mayLoad(request.url())) complaints.push(`it loads ${request.url()}`);
  });
  return page;
}

/** Waits until a value of a page is as expected, and fails with what it is instead. */
export async function becomes(read, expected, limit) {
  const end = Date.now() + limit;
  const fits = (value) => (expected instanceof RegExp ? expected.test(value) : value === expected);
  let value = await read();
  while (!fits(value) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    value = await read();
  }
  if (expected instanceof RegExp) assert.match(value, expected);
  else assert.equal(value, expected);
}

/** Fails if axe finds something in a page, which must bypass its policy. */
export async function checkAxe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(found.violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.html)]), []);
}
