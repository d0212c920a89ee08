// Builds each page as one HTML file, and writes it into the crate that embeds it. With --check it only compares.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Sources that a page of a running program may load from: the program itself. */
const SERVED = ["connect-src 'self'", "img-src 'self' data:"];
/** Template, entry, place and further sources of each page. */
const PAGES = [
  ["viewer.html", "src/viewer/main.tsx", "../harness/src/view/page/viewer.html", []],
  ["inspector.html", "src/inspector/main.tsx", "../cli/src/inspector/page/inspector.html", SERVED],
  ["workbench.html", "src/workbench/main.tsx", "../cli/src/workbench/page/workbench.html", SERVED],
];
/** Maximum size of all pages together: the program embeds them. */
const MOST_BYTES = 300 * 1024;

async function bundle(entry) {
  const [{ output }] = await build({
    root,
    configFile: false,
    logLevel: "warn",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    worker: { format: "iife" },
    build: {
      write: false,
      target: "es2022",
      cssCodeSplit: false,
      modulePreload: false,
      lib: { entry: join(root, entry), formats: ["iife"], name: "relayline" },
    },
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const script = output.find((file) => file.type === "chunk").code;
  const style = output.find((file) => file.type === "asset" && file.fileName.endsWith(".css")).source;
  return { script: script.trim(), style: String(style).trim() };
}

function hash(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

function page(template, { script, style }, sources) {
  // A script must not contain the end of its element.
  const safe = script.replaceAll("</script", "<\\/script");
  const policy = [
    "default-src 'none'",
    `script-src ${hash(safe)}`,
    `style-src ${hash(style)}`,
    "worker-src blob:",
    ...sources,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const parts = { "%CSP%": policy, "%STYLE%": style, "%SCRIPT%": safe };
  return template.replace(/%[A-Z]+%/g, (name) => parts[name] ?? name);
}

let isStale = false;
let bytes = 0;
for (const [template, entry, place, sources] of PAGES) {
  const html = page(readFileSync(join(root, template), "utf8"), await bundle(entry), sources);
  bytes += html.length;
  const path = join(root, place);
  if (process.argv.includes("--check")) {
    const committed = readFileSync(path, "utf8");
    if (committed !== html) {
      isStale = true;
      console.error(`${place} is not what web/ builds: run npm run build in web/, and commit the file`);
    }
  } else {
    writeFileSync(path, html);
  }
  console.log(`${template}: ${(html.length / 1024).toFixed(1)} KiB`);
}
if (bytes > MOST_BYTES) console.error(`the pages have ${bytes} bytes, ${MOST_BYTES} at most`);
process.exit(isStale || bytes > MOST_BYTES ? 1 : 0);
