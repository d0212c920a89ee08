// Measures a page of 100,000 frames: node tests/measure.mjs PAGE. Prints in milliseconds when the first rows were there, the
// longest task at the start and while scrolling, and the time of a search; and the largest number of elements. It asserts
// nothing: machines differ.

import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";
import { LAUNCH } from "./browser.mjs";
import { traceTasks } from "./trace.mjs";

/** Opens a page, scrolls through it, and returns what it took. */
export async function measure(path) {
  const browser = await chromium.launch(LAUNCH);
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    await page.addInitScript(() => {
      new PerformanceObserver((list) => {
        window.longest = Math.max(window.longest ?? 0, ...list.getEntries().map((entry) => entry.duration));
      }).observe({ type: "longtask", buffered: true });
      // The first rows count, not the frame around them.
      new MutationObserver((_, observer) => {
        if (!document.querySelector(".row")) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => (window.firstRows = performance.now())));
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(pathToFileURL(path).href);
    await page.waitForFunction(() => window.firstRows);
    const firstRows = Math.round(await page.evaluate(() => window.firstRows));
    const longestAtStart = Math.round((await page.evaluate(() => window.longest)) ?? 0);
    await page.evaluate(() => (window.longest = 0));
    const endTrace = await traceTasks(page);
    let elements = 0;
    for (let step = 0; step < 60; step += 1) {
      await page.evaluate((step) => {
        const scroller = document.querySelector(".scroller");
        scroller.scrollTop = step % 3 === 0 ? (scroller.scrollHeight * step) / 60 : scroller.scrollTop + 900;
      }, step);
      await page.waitForTimeout(30);
      elements = Math.max(elements, await page.evaluate(() => document.getElementsByTagName("*").length));
    }
    const longest = await endTrace();
    const search = await page.evaluate(async () => {
      const input = document.querySelector("input[type=search]");
      const before = document.querySelector(".shown").textContent;
      const start = performance.now();
      input.value = "message 4242:";
      input.dispatchEvent(new Event("input", { bubbles: true }));
      while (document.querySelector(".shown").textContent === before) await new Promise((resolve) => setTimeout(resolve, 10));
      return Math.round(performance.now() - start);
    });
    return {
      firstRows,
      longestAtStart,
      longestWhileScrolling: longest.clock,
      longestWhileScrollingCpu: longest.processor,
      elements,
      search,
    };
  } finally {
    await browser.close();
  }
}

if (import.meta.filename === process.argv[1]) console.log(JSON.stringify(await measure(process.argv[2])));
