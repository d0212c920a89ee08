// The viewer in a real browser.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { LAUNCH, becomes as becomesWithin, checkAxe, newStrictPage } from "./browser.mjs";
import { RECORDINGS, SKIP, folder, pageOf } from "./pages.mjs";
import { hostile, long, planted } from "./recordings.mjs";

describe("the viewer", { skip: SKIP }, () => {
  const into = folder();
  let browser;
  before(async () => {
    browser = await chromium.launch(LAUNCH);
  });
  after(() => browser?.close());

  /** Opens a page. It must load nothing, log nothing and violate no policy. */
  async function open(path, { hash = "", width = 1600, scheme = "light", bypassCSP = false, isEmpty = false } = {}) {
    const page = await newStrictPage(browser, (url) => /^(file|blob):/.test(url), { width, scheme, bypassCSP });
    await page.goto(pathToFileURL(path).href + hash);
    if (!isEmpty) await page.locator(".row").first().waitFor();
    return page;
  }

  async function close(page) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }

  const rows = (page) => page.locator(".row:not(.is-fold):not(.kind-problem)");
  const shown = (page) => page.locator(".shown").textContent();
  const becomes = (read, expected) => becomesWithin(read, expected, 5000);

  test("a recording with its host has three lanes, states and joined frames", async () => {
    const page = await open(pageOf(into, "real", join(RECORDINGS, "reconnect-after-drop.jsonl")));
    assert.deepEqual(await page.locator(".lane-name").allTextContents(), ["host", "gateway", "connector"]);
    assert.match(await page.title(), /relayline view$/);
    const labels = await rows(page).locator(".label b").allTextContents();
    for (const name of ["connect", "dial", "hello", "descriptor", "cut", "outbound"]) assert.ok(labels.includes(name), name);
    assert.ok((await page.locator(".state.is-connected").count()) > 0 && (await page.locator(".state.is-waiting").count()) > 0);
    await rows(page).filter({ hasText: "outbound_result" }).first().click();
    await page.getByText("answers", { exact: true }).waitFor();
    await page.locator(".details .as-link", { hasText: /^outbound send, line/ }).click();
    await page.getByText("is answered by").waitFor();
    await page.getByRole("button", { name: "Raw" }).click();
    assert.match(await page.locator(".json").textContent(), /^\{"type"/);
    assert.equal(await page.locator(".json").evaluate((json) => getComputedStyle(json).whiteSpace), "pre");
    await close(page);
  });

  test("each planted problem is listed, and a click leads to its frame and rule", async () => {
    const page = await open(pageOf(into, "planted", planted()));
    for (const [title, rule, at, words] of [
      ["Malformed line", "W-3", "3.100", /one JSON object/],
      ["Missing newline at the end", "W-2", "1:00.944", /newline must end each frame/],
      ["Credentials refused", "L-9", "1:00.850", /may be revoked/],
      ["Delivery not acknowledged", "A-1", "6.000", /must be acknowledged/],
      ["Late result", "O-1", "58.200", /after the request's time-out/],
    ]) {
      const card = page.locator(".problem", { hasText: title });
      assert.match(await card.textContent(), new RegExp(rule));
      await card.locator(".problem-name").click();
      await becomes(() => page.locator(".row.is-selected .time b").textContent(), at);
      assert.match(await page.locator(".details .rule").first().textContent(), words);
      // The rule is beside the frame, too, and in sight.
      const note = page.locator(".row.kind-problem", { hasText: title }).first();
      assert.match(await note.textContent(), words);
      assert.ok(await note.isVisible());
    }
    await close(page);
  });

  test("filters and search narrow the rows", async () => {
    const page = await open(pageOf(into, "filters", planted()));
    const pick = (name, value) => page.getByLabel(name, { exact: true }).selectOption(value);
    const all = await shown(page);
    await pick("Chat", "C-200");
    await becomes(async () => new Set(await rows(page).locator(".time b").allTextContents()).has("6.000"), false);
    await pick("Direction", "gateway>connector");
    await becomes(async () => (await rows(page).locator(".label b").allTextContents()).every((name) => name === "outbound"), true);
    await page.getByRole("button", { name: "Clear" }).click();
    await becomes(() => shown(page), all);
    await pick("Problem", "any");
    await becomes(() => rows(page).count(), 7);
    await pick("Problem", "late-result");
    await becomes(() => rows(page).count(), 1);
    await page.keyboard.press("x");
    await becomes(() => shown(page), all);
    await page.keyboard.press("/");
    await page.keyboard.type("Warehouse");
    await becomes(() => rows(page).count(), 1);
    assert.equal(await page.locator("mark").textContent(), "warehouse");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Clear" }).click();
    await pick("Type", "hello");
    await becomes(() => rows(page).count(), 3);
    // A problem that the filter hides lifts it.
    await page.locator(".problem", { hasText: "Late result" }).locator(".problem-name").click();
    await becomes(() => shown(page), all);
    await becomes(() => page.locator(".row.is-selected .time b").textContent(), "58.200");
    // The bracket of a turn shows its frames.
    await page.locator(".scroller").focus();
    await page.keyboard.press("Home");
    await becomes(() => page.locator(".row.is-selected .time b").textContent(), "0.000");
    await page.locator(".turn.begins").first().click();
    await becomes(() => rows(page).count(), 6);
    await close(page);
  });

  test("the keyboard reaches every frame, and a link leads back", async () => {
    const path = pageOf(into, "keys", planted());
    const page = await open(path);
    await page.locator(".scroller").focus();
    const at = () => page.locator(".row.is-selected .time b").textContent();
    await page.keyboard.press("j");
    await becomes(at, "0.000");
    await page.keyboard.press("ArrowDown");
    await becomes(at, "0.030");
    await page.keyboard.press("k");
    await becomes(at, "0.000");
    await page.keyboard.press("n");
    await becomes(at, "3.100");
    await page.keyboard.press("n");
    await becomes(at, "6.000");
    await page.keyboard.press("p");
    await becomes(at, "3.100");
    await page.keyboard.press("End");
    await becomes(at, "2:00.040");
    await page.keyboard.press("Home");
    await becomes(at, "0.000");
    await page.keyboard.press("Escape");
    await becomes(() => page.locator(".details").count(), 0);
    for (let step = 0; step < 3; step += 1) await page.keyboard.press("j");
    await becomes(at, "0.900");
    await page.keyboard.press("Enter");
    await page.locator(".details").waitFor();
    await page.keyboard.press("]");
    await becomes(at, "0.912");
    await page.keyboard.press("[");
    await becomes(at, "0.900");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await becomes(() => page.getByRole("dialog").count(), 0);
    const hash = await page.evaluate(() => location.hash);
    assert.match(hash, /at=5/);
    await close(page);
    const again = await open(path, { hash: "#at=18&chat=C-200" });
    await becomes(() => again.locator(".row.is-selected .time b").textContent(), "20.000");
    assert.equal(await again.getByLabel("Chat", { exact: true }).inputValue(), "C-200");
    await close(again);
  });

  test("several sessions are chosen from a list", async () => {
    const files = [planted(), readFileSync(join(RECORDINGS, "two-identities-one-socket.jsonl"), "utf8")];
    const page = await open(pageOf(into, "several", ...files));
    const list = page.locator(".top select");
    assert.equal(await list.locator("option").count(), 2);
    await list.selectOption("1");
    await becomes(async () => (await page.locator(".lane-name").count()) === 3, true);
    await close(page);
  });

  test("a HAR, parts of a rotated recording, and a recording without frames are shown", async () => {
    const header = { relay_session: 1, part: 0, started_unix_ms: 7 };
    const line = (dir, fields) => JSON.stringify({ t_ms: 1, dir, dial: 1, ...fields });
    const data = `${JSON.stringify({ type: "hello", platform: "discord", botId: "1" })}\n`;
    const first = join(into, "rotated.jsonl");
    writeFileSync(first, `${JSON.stringify(header)}\n${line("connect", { url_path: "/relay" })}\n`);
    writeFileSync(join(into, "rotated.1.jsonl"), `${JSON.stringify({ ...header, part: 1 })}\n${line("gateway", { data })}\n`);
    const entry = {
      startedDateTime: "2026-11-22T16:20:45.000Z",
      request: { url: "wss://c.example/relay", headers: [{ name: "Cookie", value: "s3cret" }] },
      response: { status: 101 },
      _webSocketMessages: [{ type: "send", time: 1795364446, opcode: 1, data }],
    };
    const har = join(into, "browser.har");
    writeFileSync(har, JSON.stringify({ log: { creator: { name: "test" }, entries: [entry] } }));
    for (const file of [first, har]) {
      const page = await open(pageOf(into, "other", file));
      await becomes(async () => (await rows(page).locator(".label b").allTextContents()).join(), "dial,hello");
      await rows(page).first().click();
      assert.doesNotMatch(await page.locator(".json").textContent(), /s3cret/);
      await close(page);
    }
    const page = await open(pageOf(into, "empty", `${JSON.stringify({ relay_session: 1 })}\n`), { isEmpty: true });
    await page.getByText("No frame fits the filters.").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("n");
    await close(page);
  });

  test("hostile texts stay texts in every field", async () => {
    const page = await open(pageOf(into, "hostile", hostile()));
    await becomes(async () => (await rows(page).count()) > 8, true);
    for (const row of await rows(page).all()) {
      await row.click();
      await page.locator(".details").waitFor();
    }
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("img").count(), 0);
    // No gist turns the direction of what stands beside it.
    assert.ok((await page.locator(".label").allTextContents()).every((text) => !/[\u202a-\u202e\u2066-\u2069\u0000]/.test(text)));
    // The line of a megabyte: cut at first, whole at a click, never wrapped.
    await rows(page).filter({ hasText: "xxxxxxxx" }).first().click();
    await page.getByRole("button", { name: /Show all/ }).click();
    await becomes(async () => (await page.locator(".json").textContent()).length > 1_000_000, true);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1600);
    await close(page);
  });

  for (const scheme of ["light", "dark"]) {
    test(`axe finds nothing, ${scheme}`, async () => {
      const page = await open(pageOf(into, "axe", planted()), { hash: "#at=18", scheme, bypassCSP: true });
      await page.locator(".details").waitFor();
      await checkAxe(page);
      await close(page);
    });
  }

  test("at 1,000 px nothing is beside the page, with and without details", async () => {
    for (const hash of ["", "#at=18"]) {
      const page = await open(pageOf(into, "narrow", planted()), { width: 1000, hash });
      if (hash) await page.locator(".details").waitFor();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1000);
      assert.ok((await page.locator(".scroller").boundingBox()).height > 250);
      await close(page);
    }
  });

  test("100,000 frames have few elements, wherever one scrolls", async () => {
    const path = pageOf(into, "long", long(100_000));
    assert.ok(statSync(path).size < 8_000_000);
    const page = await open(path);
    let most = 0;
    for (let step = 0; step <= 20; step += 1) {
      await page.locator(".scroller").evaluate((box, part) => (box.scrollTop = box.scrollHeight * part), step / 20);
      await becomes(async () => {
        const box = await page.locator(".scroller").boundingBox();
        return page.evaluate(
          ({ x, y, height }) => document.elementFromPoint(x + 300, y + height / 2)?.closest(".row") !== null,
          box,
        );
      }, true);
      most = Math.max(most, await page.evaluate(() => document.getElementsByTagName("*").length));
    }
    assert.ok(most < 2000, String(most));
    await page.locator(".scroller").focus();
    await page.keyboard.press("End");
    await becomes(() => page.locator(".row.is-selected .label b").textContent(), "close");
    await page.keyboard.press("/");
    await page.keyboard.type("message 4242:");
    await becomes(() => rows(page).count(), 1);
    await close(page);
  });
});
