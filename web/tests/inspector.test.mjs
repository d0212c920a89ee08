// The inspector in a real browser: of running programs, and of a program that only publishes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { LAUNCH, becomes as becomesWithin, checkAxe, newStrictPage } from "./browser.mjs";
import { serveFake } from "./fake-program.mjs";
import { SKIP, folder, pageOf } from "./pages.mjs";
import { startPrograms } from "./programs.mjs";
import { hostile, long, planted } from "./recordings.mjs";
import { traceTasks } from "./trace.mjs";

/** Time limit of a wait, long enough for a busy machine. */
const SOON = 30_000;

describe("the inspector", { skip: SKIP }, () => {
  const into = folder();
  let browser;
  before(async () => {
    browser = await chromium.launch(LAUNCH);
  });
  after(() => browser?.close());

  /** Opens a page. It must load nothing but from its program, log nothing and violate no policy. */
  async function open(url, { width = 1600, scheme = "light", bypassCSP = false } = {}) {
    const { origin } = new URL(url);
    const mayLoad = (address) => address.startsWith(`${origin}/`) || address.startsWith("blob:");
    const page = await newStrictPage(browser, mayLoad, { width, scheme, bypassCSP });
    page.setDefaultTimeout(SOON);
    await page.goto(url);
    return page;
  }

  async function close(page) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }

  const rows = (page) => page.locator(".row:not(.is-fold):not(.kind-problem)");
  const last = (page) => rows(page).last().locator(".label").textContent();
  const becomes = (read, expected) => becomesWithin(read, expected, SOON);
  /** Pixels between the place that is shown and the end. */
  const distance = (page) =>
    page.locator(".scroller").evaluate((box) => Math.round(box.scrollHeight - box.scrollTop - box.clientHeight));

  test("a session is watched, with a drop and its recovery", async () => {
    const programs = await startPrograms();
    try {
      const page = await open(await programs.gatewayPage());
      await rows(page).filter({ hasText: "descriptor" }).waitFor();
      assert.doesNotMatch(page.url(), /token/);
      assert.match(await page.title(), /^gw-1/);
      assert.deepEqual((await rows(page).locator(".label b").allTextContents()).slice(0, 3), ["dial", "hello", "descriptor"]);
      programs.say("is it live?");
      await becomes(() => last(page), /outbound_result/);
      assert.equal(await rows(page).filter({ hasText: "is it live?" }).count(), 2);
      await becomes(() => page.locator(".is-state b").textContent(), "connected");
      programs.connector.write({ do: "drop" });
      await rows(page).filter({ hasText: "cut" }).first().waitFor();
      await rows(page).filter({ hasText: "attempt 2" }).waitFor();
      await page.locator(".problem", { hasText: "Connection cut" }).waitFor();
      programs.say("and again?");
      await rows(page).filter({ hasText: "echo 0: and again?" }).waitFor();
      await becomes(() => page.locator(".state.is-waiting").count().then((count) => count > 0), true);
      await becomes(() => page.locator(".is-state b").textContent(), "connected");
      assert.match(await page.locator(".chart", { hasText: "Request to result" }).textContent(), /median \d+ ms/);
      await page.getByRole("button", { name: "Counters" }).click();
      await becomes(() => page.locator(".stats .sizes > div", { hasText: /^dials/ }).locator("dd").textContent(), "2");
      await close(page);
    } finally {
      await programs.stop();
    }
  });

  test("it sticks to the end until one scrolls up, and returns at a click", async () => {
    const programs = await startPrograms();
    try {
      const page = await open(await programs.gatewayPage());
      await rows(page).filter({ hasText: "descriptor" }).waitFor();
      programs.say("burst 60");
      await becomes(() => last(page), /outbound_result/);
      await becomes(() => distance(page).then((pixels) => pixels <= 1), true);
      await page.locator(".scroller").hover();
      await page.mouse.wheel(0, -900);
      await page.locator(".to-end").waitFor();
      const first = () => page.evaluate(() => {
        const box = document.querySelector(".scroller").getBoundingClientRect();
        const rows = [...document.querySelectorAll(".row")].filter((row) => row.getBoundingClientRect().top >= box.top);
        rows.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
        return rows[0].id;
      });
      const before = await first();
      programs.say("burst 20");
      await becomes(() => page.locator(".to-end").textContent(), /^41 new/);
      assert.equal(await first(), before, "what one reads stays where it is");
      await page.locator(".to-end").click();
      await becomes(() => distance(page).then((pixels) => pixels <= 1), true);
      await becomes(() => page.locator(".to-end").count(), 0);
      programs.say("the end?");
      await rows(page).filter({ hasText: "echo 0: the end?" }).waitFor();
      await becomes(() => distance(page).then((pixels) => pixels <= 1), true);
      // A frame that is looked at does not scroll away.
      await rows(page).last().click();
      await page.locator(".details").waitFor();
      const selected = await page.locator(".row.is-selected").getAttribute("id");
      programs.say("burst 40");
      await becomes(() => page.locator(".to-end").textContent(), /^81 new/);
      assert.ok(await page.locator(`#${selected}`).isVisible());
      await close(page);
    } finally {
      await programs.stop();
    }
  });

  test("it pauses, hides texts, saves and clears", async () => {
    const programs = await startPrograms();
    try {
      const page = await open(await programs.gatewayPage());
      programs.say("a private question");
      await rows(page).filter({ hasText: "echo 0: a private question" }).waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      await page.locator(".link", { hasText: "paused" }).waitFor();
      programs.say("said meanwhile");
      await programs.connector.find("stdout", /echo 0: said meanwhile/);
      assert.equal(await rows(page).filter({ hasText: "said meanwhile" }).count(), 0);
      await page.getByRole("button", { name: "Resume" }).click();
      await rows(page).filter({ hasText: "echo 0: said meanwhile" }).waitFor();
      assert.equal(await rows(page).filter({ hasText: "attempt 1" }).count(), 1, "nothing comes twice");

      await page.getByRole("button", { name: "Hide texts" }).click();
      await becomes(() => rows(page).filter({ hasText: "private" }).count(), 0);
      await rows(page).filter({ hasText: "inbound" }).first().click();
      await page.locator(".json", { hasText: '"type": "inbound"' }).waitFor();
      assert.doesNotMatch(await page.locator("body").textContent(), /private|Ada|C-1\b/);
      await page.getByRole("button", { name: "Hide texts" }).click();
      await page.locator(".json", { hasText: "a private question" }).waitFor();

      const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Save", { exact: true }).click()]);
      assert.equal(download.suggestedFilename(), "gw-1.jsonl");
      const saved = readFileSync(await download.path(), "utf8");
      assert.match(saved, /^\{"relay_session":1/);
      assert.match(saved, /said meanwhile/);
      const view = await browser.newPage();
      await view.goto(`file://${pageOf(into, "saved", saved)}`);
      await rows(view).filter({ hasText: "echo 0: said meanwhile" }).waitFor();
      await view.close();

      await page.getByRole("button", { name: "Clear" }).click();
      await becomes(() => rows(page).count(), 0);
      programs.say("after that");
      await rows(page).filter({ hasText: "echo 0: after that" }).waitFor();
      await close(page);
    } finally {
      await programs.stop();
    }
  });

  test("each gateway of a connector is chosen from a list", async () => {
    const programs = await startPrograms({ connectorFlags: ["--gateway", "gw-2=other"] });
    try {
      const page = await open(await programs.connectorPage());
      await rows(page).filter({ hasText: "descriptor" }).waitFor();
      assert.match(await page.locator("h1").textContent(), /Connector gw-1/);
      const second = await programs.another("gw-2", "other");
      try {
        const list = page.locator(".top select");
        await list.waitFor();
        assert.deepEqual(await list.locator("option").allTextContents(), ["gw-1", "gw-2"]);
        await list.selectOption("1");
        await page.locator("h1", { hasText: "gw-2" }).waitFor();
        await becomes(async () => (await rows(page).locator(".label b").allTextContents()).slice(0, 3).join(), "dial,hello,descriptor");
      } finally {
        await second.stop();
      }
      await rows(page).filter({ hasText: "close" }).waitFor();
      await close(page);
    } finally {
      await programs.stop();
    }
  });

  test("the end of the program is said, and what was shown stays", async () => {
    const programs = await startPrograms();
    try {
      const page = await open(await programs.gatewayPage());
      await rows(page).filter({ hasText: "descriptor" }).waitFor();
      await programs.gateway.stop();
      await page.locator(".link", { hasText: /lost|ended/ }).waitFor();
      assert.ok((await rows(page).count()) >= 3);
      // The browser reports the lost connection by itself.
      assert.ok(page.complaints.every((text) => /ERR_/.test(text)), page.complaints.join());
      await page.context().close();
    } finally {
      await programs.stop();
    }
  });

  test("hostile texts stay texts in every field", async () => {
    const fake = await serveFake(pageOf(into, "hostile-live", hostile()));
    try {
      const page = await open(fake.url);
      fake.begin();
      await becomes(() => rows(page).count().then((count) => count > 8), true);
      for (const row of await rows(page).all()) {
        await row.click();
        await page.locator(".details").waitFor();
      }
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.equal(await page.locator("img").count(), 0);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1600);
      await close(page);
    } finally {
      fake.close();
    }
  });

  /** Lets a long session pass, and returns the longest task of the page. */
  async function watchLong(path) {
    const fake = await serveFake(path, { batch: 400 });
    try {
      const page = await open(fake.url);
      await page.locator(".diagram").waitFor();
      const end = await traceTasks(page);
      fake.begin();
      let most = 0;
      const until = Date.now() + 4 * SOON;
      while (!(await last(page).catch(() => "")).includes("close") && Date.now() < until) {
        most = Math.max(most, await page.evaluate(() => document.getElementsByTagName("*").length));
        await page.waitForTimeout(100);
      }
      await becomes(() => last(page), /close/);
      await becomes(() => distance(page).then((pixels) => pixels <= 1), true);
      const number = (text) => Number(/([\d,]+) /.exec(text)[1].replaceAll(",", ""));
      const dropped = page.locator(".facts", { hasText: "dropped" });
      await becomes(async () => {
        const [kept, left] = [await page.locator(".shown").textContent(), await dropped.locator("span").nth(2).textContent()];
        return number(kept) + number(left);
      }, fake.updates);
      assert.ok(number(await page.locator(".shown").textContent()) <= 110_000);
      const longest = await end();
      assert.ok(most < 2000, String(most));
      await close(page);
      return { ...longest, elements: most };
    } finally {
      fake.close();
    }
  }

  test("120,000 frames pass without a long task, with few elements, and the oldest are dropped", async (context) => {
    const path = pageOf(into, "long-live", long(120_000));
    let longest = await watchLong(path);
    // Other programs slow the processor, too: a task that is long by itself is long again.
    if (longest.processor >= 50) longest = await watchLong(path);
    context.diagnostic(`longest task: ${longest.processor} ms by the processor, ${longest.clock} ms by the clock; ${longest.elements} elements`);
    assert.ok(longest.processor < 50, String(longest.processor));
  });

  for (const scheme of ["light", "dark"]) {
    test(`axe finds nothing, ${scheme}, and nothing is beside the page at 1,000 px`, async () => {
      const fake = await serveFake(pageOf(into, "axe-live", planted()));
      try {
        const page = await open(fake.url, { scheme, bypassCSP: true, width: 1000 });
        fake.begin();
        await becomes(() => last(page), /close/);
        const check = async () => {
          await checkAxe(page);
          assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1000);
          assert.ok((await page.locator(".scroller").boundingBox()).height > 200);
        };
        await check();
        await rows(page).last().click();
        await page.locator(".details").waitFor();
        await check();
        await page.getByRole("button", { name: "Counters" }).click();
        await page.locator(".stats").waitFor();
        await check();
        await close(page);
      } finally {
        fake.close();
      }
    });
  }
});
