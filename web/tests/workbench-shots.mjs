// Takes the screenshots of the workbench: node tests/workbench-shots.mjs FOLDER [WIDTH]. Look at them after a change.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { LAUNCH, newPage } from "./browser.mjs";
import { folder } from "./pages.mjs";
import { Program } from "./programs.mjs";

const [out, width = "1280"] = process.argv.slice(2);

const AGENT = `
import { createInterface } from "node:readline";
const write = (op) => process.stdout.write(JSON.stringify(op) + "\\n");
process.stderr.write("agent: connected\\n");
for await (const line of createInterface({ input: process.stdin })) {
  const { event, id, delivery, message, source, result } = JSON.parse(line);
  const general = { chat_id: "1234567890123456789", platform: "discord" };
  if (event === "message" && message.text.includes("ship")) {
    write({ op: "react", ...general, message_id: message.message_id, emoji: "👀" });
    write({ op: "reply", delivery, final: false, content: "All checks passed: 2,311 tests, no open blockers." });
    const options = [{ id: "yes", label: "Ship it", style: "primary" }, { id: "no", label: "Not yet" }];
    write({ op: "prompt", ...general, prompt_kind: "approval", content: "Deploy version 2.4 to production?", options });
  } else if (event === "message" && message.source.platform === "slack") {
    const step = (id, title, status) => ({ id, title, status });
    const chunks = [step("a", "Read the log of host 3", "completed"), step("b", "Compare with yesterday", "completed"), step("c", "Find the first slow request", "in_progress"), step("d", "Write it down", "pending")];
    write({ op: "task_card", delivery, chunks });
  } else if (event === "message") {
    write({ op: "reply", delivery, content: "Faster starts, one queue for all agents, and the page that you are looking at." });
  }
  if (event === "prompt_answer") write({ op: "send", id: "deploy", ...general, content: "Deploying 2.4 …" });
  if (event === "result" && id === "deploy") {
    setTimeout(() => write({ op: "edit", ...general, message_id: result.message_id, content: "Version 2.4 is live on 3 hosts. It took 41 s." }), 300);
  }
}
`;

const into = folder();
writeFileSync(join(into, "agent.mjs"), AGENT);
const browser = await chromium.launch(LAUNCH);
for (const [name, scheme] of [["workbench", "light"], ["workbench-dark", "dark"]]) {
  const program = new Program(["-q", "dev", "--exec", process.execPath, "agent.mjs"], { cwd: into });
  const url = await program.firstLine();
  const page = await newPage(browser, console.log, { scheme, width: Number(width), height: 760 });
  await page.goto(url);
  await page.getByText("gateway connected").waitFor();
  const say = async (text, answer) => {
    await page.locator("#text").fill(text);
    await page.keyboard.press("Enter");
    await page.locator(".message.is-agent").getByText(answer).first().waitFor();
  };
  await page.getByRole("navigation").getByRole("button", { name: /platform/ }).click();
  await say("Why is host 3 slow since this morning?", "Read the log");
  await page.screenshot({ path: join(out, `${name}-slack.png`) });
  await page.getByRole("navigation").getByRole("button", { name: "general" }).click();
  await say("Can we ship 2.4 today?", "Deploy version 2.4");
  await page.getByLabel("Write as").selectOption({ label: "grace" });
  await page.getByRole("button", { name: "Ship it" }).click();
  await page.getByText("is live on 3 hosts").first().waitFor();
  await say("What is in it?", "Faster starts");
  await page.getByRole("toolbar").getByRole("button", { name: "Slow" }).click();
  await page.getByRole("button", { name: /Slow on/ }).waitFor();
  await page.locator("#text").focus();
  await page.mouse.move(700, 5);
  await page.screenshot({ path: join(out, `${name}.png`) });
  await page.context().close();
  await program.stop("SIGINT");
}
await browser.close();
