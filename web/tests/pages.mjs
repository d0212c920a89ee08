// Pages for the tests, made by the program that RELAYLINE names.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MISSING } from "./browser.mjs";

const ROOT = join(import.meta.dirname, "../..");
export const PROGRAM = resolve(process.env.RELAYLINE ?? join(ROOT, "target/debug/relayline"));

/** Reason for which the tests cannot run here, or false. */
export const SKIP = MISSING || (existsSync(PROGRAM) ? false : `${PROGRAM} is needed: build it, or set RELAYLINE`);

export const RECORDINGS = join(ROOT, "harness/recordings");

/** A folder that is removed when the tests end. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "relayline-web-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Makes the page of recordings: paths, or texts by name. */
export function pageOf(into, name, ...recordings) {
  const files = recordings.map((recording, at) => {
    if (existsSync(recording)) return recording;
    const path = join(into, `${name}-${at}.jsonl`);
    writeFileSync(path, recording);
    return path;
  });
  const out = join(into, `${name}.html`);
  execFileSync(PROGRAM, ["view", ...files, "--out", out], { stdio: ["ignore", "ignore", "inherit"] });
  return out;
}
