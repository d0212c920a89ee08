// The workbench in a real browser, with the program and a real agent behind it.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { LAUNCH, checkAxe, newStrictPage } from "./browser.mjs";
import { SKIP, folder } from "./pages.mjs";
import { Program, stopAll } from "./programs.mjs";

/** A picture of 10 × 10 pixels. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC",
  "base64",
);
const COMMANDS = [
  { name: "status", type: 1, description: "Show what runs" },
  { name: "steps", type: 1, description: "Show the steps of a turn" },
];

describe("the workbench", { skip: SKIP }, () => {
  const into = folder();
  let browser;
  before(async () => {
    browser = await chromium.launch(LAUNCH);
    writeFileSync(join(into, "picture.png"), PICTURE);
    writeFileSync(join(into, "commands.json"), JSON.stringify(COMMANDS));
  });
  afterEach(stopAll);
  after(() => browser?.close());

  /** Starts `relayline dev` with the agent of the tests, and opens its page, which must log nothing. */
  async function start({ width = 1280, scheme = "light", bypassCSP = false } = {}) {
    const agent = join(into, "agent.mjs");
    copyFileSync(join(import.meta.dirname, "workbench-agent.mjs"), agent);
    const flags = ["--command-manifest", join(into, "commands.json"), "--media-dir", into];
    const program = new Program(["-q", "dev", ...flags, "--exec", process.execPath, agent], { env: { TEST_IMAGE: "picture.png" } });
    const url = await program.firstLine();
    const mayLoad = (address) => address.startsWith(new URL(url).origin) || address.startsWith("data:");
    const page = await newStrictPage(browser, mayLoad, { width, height: 800, scheme, bypassCSP });
    page.agent = agent;
    await page.goto(url);
    await page.getByText("gateway connected").waitFor();
    page.finish = async ({ complaints = [] } = {}) => {
      assert.deepEqual(page.complaints.filter((text) => !complaints.some((known) => text.includes(known))), []);
      await page.context().close();
      assert.equal(await program.stop("SIGINT"), 0);
    };
    return page;
  }

  const composer = (page) => page.locator("#text");
  async function say(page, text) {
    await composer(page).fill(text);
    await page.keyboard.press("Enter");
  }
  const open = (page, name) => page.getByRole("navigation").getByRole("button", { name }).first().click();
  const fault = (page, name) => page.getByRole("toolbar").getByRole("button", { name }).click();
  const bot = (page) => page.locator(".message.is-agent");

  test("a conversation with buttons, edits, reactions and files", async () => {
    const page = await start();
    assert.match(await page.title(), /^general · relayline workbench$/);
    await say(page, "Good morning");
    await bot(page).getByText("echo: Good morning", { exact: true }).waitFor();
    // The author is a user of one's choice.
    await page.getByLabel("Write as").selectOption({ label: "grace" });
    await say(page, "ask");
    await page.getByRole("button", { name: "Ship it" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Not <b>yet</b>" }).count(), 1);
    await page.getByRole("button", { name: "Ship it" }).click();
    await bot(page).getByText("grace chose yes").waitFor();
    assert.ok(await page.getByRole("button", { name: "Ship it" }).isDisabled());
    await say(page, "edit");
    await bot(page).getByText("second version").waitFor();
    await bot(page).filter({ hasText: "second version" }).getByText("edited").waitFor();
    await say(page, "react");
    await page.locator(".reaction").getByText("👍").waitFor();
    await say(page, "image");
    await page.getByRole("img", { name: "picture.png" }).waitFor();
    assert.equal(await page.getByRole("img", { name: "picture.png" }).evaluate((image) => image.naturalWidth), 10);
    // A file of a user reaches the agent, and can be saved.
    await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await bot(page).getByText("got document notes.txt, 5 bytes").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "notes.txt" }).click(),
    ]);
    assert.equal(readFileSync(await download.path(), "utf8"), "hello");
    // A user edits and deletes.
    const own = page.locator(".message.is-user").filter({ hasText: "Good morning" });
    await own.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("New text").fill("Good evening");
    await page.getByRole("button", { name: "Save" }).click();
    await bot(page).getByText("echo: Good evening").waitFor();
    const changed = page.locator(".message.is-user").filter({ hasText: "Good evening" });
    await changed.getByText("edited").waitFor();
    await changed.getByRole("button", { name: "Delete" }).click();
    await page.getByText("the protocol does not tell the agent").waitFor();
    await page.finish();
  });

  test("a declared command is found by a slash and the keyboard", async () => {
    const page = await start();
    await composer(page).fill("/st");
    const list = page.getByRole("listbox");
    assert.deepEqual(await list.getByRole("option").allTextContents(), [
      "/status Show what runs",
      "/steps Show the steps of a turn",
    ]);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    assert.equal(await composer(page).inputValue(), "/steps ");
    await composer(page).fill("/status");
    await page.keyboard.press("Enter");
    await bot(page).getByText("echo: /status").waitFor();
    await page.locator(".frame", { hasText: "passthrough_forward" }).waitFor();
    // Chats are reached without a mouse.
    await page.keyboard.press("Alt+ArrowDown");
    await page.getByRole("heading", { name: "release plan" }).waitFor();
    await page.getByRole("button", { name: "general" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "ada" }).waitFor();
    await page.finish();
  });

  test("threads, drafts that grow, and cards of steps", async () => {
    const page = await start();
    await open(page, /platform/);
    await say(page, "steps");
    await page.locator(".replies .card").getByText("Find the cause").waitFor();
    await page.locator(".message.is-user").getByRole("button", { name: "Reply in thread" }).click();
    await page.getByText("In the thread of").waitFor();
    await say(page, "more of this");
    await page.locator(".replies").getByText("echo: more of this").waitFor();
    assert.equal(await page.locator(".thread").count(), 1);
    await open(page, /Reading circle/);
    await say(page, "stream");
    await page.locator(".message.is-draft").getByText("Three things matter").waitFor();
    await bot(page).getByText(/when the line drops\.$/).waitFor();
    assert.equal(await page.locator(".message.is-draft").count(), 0);
    await say(page, "thread");
    await page.getByRole("navigation").getByRole("button", { name: /Follow-up/ }).waitFor();
    await page.getByRole("button", { name: "New topic" }).click();
    await page.locator(".new-thread input").fill("Books <b>");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Books <b>" }).waitFor();
    await say(page, "typing");
    await page.locator(".typing").getByText("agent: reading the <i>manual</i>").waitFor();
    // A new user in a chat of their own.
    await page.getByText("Add a chat or user").click();
    await page.getByLabel("Add", { exact: true }).selectOption("user");
    await page.getByLabel("Name", { exact: true }).fill("kim");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByLabel("Add", { exact: true }).selectOption("dm");
    await page.getByLabel("With").selectOption({ label: "kim" });
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await open(page, /kim/);
    await say(page, "hi");
    await bot(page).getByText("echo: hi").waitFor();
    await page.finish();
  });

  test("a drop and its recovery are watched live", async () => {
    const page = await start();
    await fault(page, "Mute");
    await page.getByRole("button", { name: "Mute", pressed: true }).waitFor();
    await fault(page, "Drop");
    await page.getByText(/The gateway is not connected|handshaking/).first().waitFor();
    await say(page, "are you there?");
    await page.getByText("waits in the buffer").waitFor();
    await fault(page, "Mute");
    await page.getByText("gateway connected").waitFor();
    await bot(page).getByText("echo: are you there?").waitFor();
    await page.locator(".progress.is-acknowledged").waitFor();
    await page.locator(".frame", { hasText: "closed" }).first().waitFor();
    // A refused op is shown, and so is what the connector says about an impossible fault.
    await fault(page, "Refuse ops");
    await say(page, "hello");
    await page.locator(".aside.is-error").getByText("send was refused: refused by the workbench").waitFor();
    await fault(page, "Revoke");
    await page.getByText("The gateway was revoked and has ended").waitFor();
    await fault(page, "Drop");
    await page.locator(".banner").getByText(/is not connected/).first().waitFor();
    await fault(page, "Revoke");
    await page.getByText("gateway connected").waitFor();
    // The browser reports the refused action.
    await page.finish({ complaints: ["400"] });
  });

  test("a crash shows the agent's last words, and a changed file starts it again", async () => {
    const page = await start();
    await say(page, "crash");
    await page.locator(".banner").getByText("Traceback: the answer is not 42").waitFor();
    await page.getByText("agent node ended").waitFor();
    await say(page, "hello");
    writeFileSync(page.agent, readFileSync(page.agent, "utf8").replace('const NAME = "echo"', 'const NAME = "mended"'));
    await bot(page).getByText("mended: hello").waitFor();
    await page.getByRole("tab", { name: "Agent output" }).click();
    await page.getByRole("tabpanel").getByText("ready").waitFor();
    await page.getByRole("button", { name: "Restart the agent" }).click();
    await say(page, "again");
    await bot(page).getByText("mended: again").waitFor();
    await page.finish();
  });

  test("what one types while a message is on its way is kept", async () => {
    const page = await start();
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    await page.route((url) => url.pathname !== "/", async (route) => {
      if (route.request().method() === "POST") await gate;
      await route.continue();
    });
    await say(page, "one");
    await say(page, "two");
    await composer(page).fill("three");
    assert.equal(await bot(page).count(), 0);
    open();
    await bot(page).getByText("echo: two", { exact: true }).waitFor();
    const answers = await bot(page).getByText(/^echo: /).allInnerTexts();
    assert.deepEqual(answers, ["echo: one", "echo: two"]);
    assert.equal(await composer(page).inputValue(), "three");
    await page.finish();
  });

  test("hostile texts stay texts in every field", async () => {
    const page = await start({ width: 1000 });
    const hostile = `<img src=x onerror="window.hacked = 1"> \u202Eevil`;
    await page.getByText("Add a chat or user").click();
    for (const [what, name] of [["user", hostile], ["chat", hostile]]) {
      await page.getByLabel("Add", { exact: true }).selectOption(what);
      await page.getByLabel("Name", { exact: true }).fill(name);
      await page.getByRole("button", { name: "Add", exact: true }).click();
    }
    await open(page, /<img/);
    await page.getByLabel("Write as").selectOption({ label: hostile });
    await say(page, hostile);
    await say(page, "hostile");
    await page.getByText("<script>window.hacked = 1</script>").first().waitFor();
    await say(page, "typing");
    await page.locator(".typing").getByText("<i>manual</i>").waitFor();
    await page.locator("input[type=file]").setInputFiles({ name: `${hostile}.txt`, mimeType: "text/html", buffer: Buffer.from("<script>") });
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await bot(page).getByText(/got document/).waitFor();
    // A line of half a megabyte, of which the page shows the begin at first.
    await composer(page).fill(`${"x".repeat(500_000)} the end`);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /show all/ }).last().waitFor();
    await page.getByRole("button", { name: /show all/ }).last().click();
    // A text that no frame can carry is refused, and kept.
    await composer(page).fill("x".repeat(1_000_000));
    await page.keyboard.press("Enter");
    await page.locator(".banner").getByText(/the text has 1000000 bytes/).waitFor();
    assert.equal((await composer(page).inputValue()).length, 1_000_000);
    for (const frame of await page.locator(".frame:enabled").all()) await frame.click();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator(".message img").count(), 0);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1000);
    await page.finish({ complaints: ["400"] });
  });

  for (const scheme of ["light", "dark"]) {
    test(`axe finds nothing, ${scheme}`, async () => {
      const page = await start({ width: 1000, scheme, bypassCSP: true });
      for (const text of ["hello", "ask", "edit", "image", "typing"]) await say(page, text);
      await page.getByRole("img", { name: "picture.png" }).waitFor();
      await open(page, /platform/);
      await say(page, "steps");
      await page.locator(".card").waitFor();
      await page.locator(".message.is-user").getByRole("button", { name: "Reply in thread" }).click();
      await fault(page, "Slow");
      await page.locator(".frame:enabled").last().click();
      await composer(page).fill("/");
      await page.getByRole("listbox").waitFor();
      await checkAxe(page);
      await open(page, /general/);
      await page.getByText("Add a chat or user").click();
      await say(page, "crash");
      await page.getByText("agent node ended").waitFor();
      await fault(page, "Drop");
      await checkAxe(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1000);
      await page.finish();
    });
  }
});
