// Takes screenshots of the viewer, for people to look at: node tests/shots.mjs PAGE FOLDER [FRAME]. With --readme in
// place of FRAME it takes the three of the README.

import { chromium } from "playwright-core";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { LAUNCH, newPage } from "./browser.mjs";

const [page, folder, frame] = process.argv.slice(2);
const browser = await chromium.launch(LAUNCH);

async function shoot(name, { scheme, width, height, hash = "" }) {
  const tab = await newPage(browser, console.log, { scheme, width, height });
  await tab.goto(pathToFileURL(page).href + hash);
  await tab.locator(".row").first().waitFor();
  if (hash) await tab.locator(".details").waitFor();
  // Rows in sight come with the next answer of the worker.
  await tab.waitForTimeout(300);
  await tab.screenshot({ path: join(folder, `${name}.png`) });
  await tab.context().close();
}

if (frame === "--readme") {
  const size = { width: 1280, height: 800 };
  await shoot("view-light", { ...size, scheme: "light" });
  await shoot("view-dark", { ...size, scheme: "dark" });
  await shoot("view-details", { ...size, scheme: "light", hash: "#at=21" });
} else {
  for (const scheme of ["light", "dark"]) {
    for (const [width, height] of [[1000, 800], [1600, 1000]]) {
      const name = `${scheme}-${width}${frame ? "-details" : ""}`;
      await shoot(name, { scheme, width, height, hash: frame ? `#at=${frame}` : "" });
    }
  }
}
await browser.close();
