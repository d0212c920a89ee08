// The browser of the tests: Debian's Chromium, or the one that CHROMIUM names.

import { existsSync } from "node:fs";

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
