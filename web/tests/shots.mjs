// Takes screenshots of the viewer, for people to look at: node tests/shots.mjs PAGE FOLDER [FRAME].

import { chromium } from "playwright-core";
import { LAUNCH } from "./browser.mjs";
import { pathToFileURL } from "node:url";

const [page, folder, frame] = process.argv.slice(2);
const browser = await chromium.launch(LAUNCH);
for (const scheme of ["light", "dark"]) {
  for (const [width, height] of [[1000, 800], [1600, 1000]]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
    const tab = await context.newPage();
    tab.on("console", (message) => console.log(message.text()));
    tab.on("pageerror", (error) => console.log(String(error)));
    await tab.goto(pathToFileURL(page).href + (frame ? `#at=${frame}` : ""));
    await tab.waitForSelector(".row", { timeout: 10_000 }).catch((error) => console.log(String(error)));
    await tab.waitForTimeout(400);
    await tab.screenshot({ path: `${folder}/${scheme}-${width}${frame ? "-details" : ""}.png` });
    await context.close();
  }
}
await browser.close();
