// Takes screenshots of the inspector, for people to look at: node tests/live-shots.mjs FOLDER. It starts the program that
// RELAYLINE names, and lets an agent answer. With --docs after FOLDER it takes the one of the documentation.

import { chromium } from "playwright-core";
import { join } from "node:path";
import { LAUNCH, newPage } from "./browser.mjs";
import { startPrograms } from "./programs.mjs";

const [folder, docs] = process.argv.slice(2);
const programs = await startPrograms();
const browser = await chromium.launch(LAUNCH);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function shoot(url, name, { scheme, width, height, act }) {
  const tab = await newPage(browser, console.log, { scheme, width, height });
  await tab.goto(url);
  await tab.locator(".row").first().waitFor();
  await pause(2500);
  await act?.(tab);
  await pause(400);
  await tab.screenshot({ path: join(folder, `${name}.png`) });
  await tab.context().close();
}

const url = await programs.gatewayPage();
await programs.gateway.find("stderr", /connected/);
for (const text of ["Is the train on time?", "burst 12", "Book two seats, please.", "quiet", "Thanks!"]) {
  programs.say(text);
  await pause(700);
}
programs.connector.write({ do: "drop" });
await pause(2500);
for (let at = 0; at < 30; at += 1) {
  programs.say(at % 6 === 0 ? `burst ${at}` : `And what about number ${at}?`);
  await pause(300);
}
const details = (tab) => tab.locator(".row", { hasText: "outbound_result" }).last().click();
const counters = (tab) => tab.getByRole("button", { name: "Counters" }).click();
if (docs === "--docs") {
  await shoot(url, "inspect", { scheme: "light", width: 1280, height: 800, act: details });
} else {
  for (const scheme of ["light", "dark"]) {
    for (const [width, height] of [[1000, 800], [1600, 1000]]) {
      await shoot(url, `live-${scheme}-${width}`, { scheme, width, height });
      await shoot(url, `live-${scheme}-${width}-details`, { scheme, width, height, act: details });
      await shoot(url, `live-${scheme}-${width}-counters`, { scheme, width, height, act: counters });
    }
  }
  await shoot(await programs.connectorPage(), "live-connector", { scheme: "light", width: 1280, height: 800 });
}
await browser.close();
await programs.stop();
