// Builds each page as one HTML file, and writes it into the crate that embeds it. With --check it only compares.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Sources that a page of a running program may load from: the program itself. */
const SERVED = ["connect-src 'self'", "img-src 'self' data:"];
/** Pages: their entries, places and further sources, and their parts of the template `page.html`. */
const PAGES = [
  {
    entry: "src/viewer/main.tsx",
    place: "../harness/src/view/page/viewer.html",
    sources: [],
    parts: {
      TITLE: "relayline view",
      LOADING: "Reading the session…",
      NOSCRIPT: "This page draws the session with JavaScript.",
      DATA: '<script type="application/json" id="sessions">"relayline-sessions"</script>\n',
    },
  },
  {
    entry: "src/inspector/main.tsx",
    place: "../cli/src/inspector/page/inspector.html",
    sources: SERVED,
    parts: {
      TITLE: "relayline inspector",
      ICON: icon("M8 5v14M16 5v14M8 9h8M8 15h8"),
      LOADING: "Connecting to the program…",
      NOSCRIPT: "This page draws the session with JavaScript.",
    },
  },
  {
    entry: "src/workbench/main.tsx",
    place: "../cli/src/workbench/page/workbench.html",
    sources: SERVED,
    parts: {
      TITLE: "relayline workbench",
      ICON: icon("M5 8h14M5 8v7h4.500l2.500 3 2.500-3H19V8M9 11.500h6"),
      LOADING: "Opening the chats…",
      NOSCRIPT: "This page shows the chats with JavaScript.",
    },
  },
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

/** Returns the element of an icon: a path in white on the accent. A server would be asked for a file otherwise. */
function icon(path) {
  const svg = [
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>",
    "<rect width='24' height='24' rx='6' fill='#1d5bd6'/>",
    `<path d='${path}' fill='none' stroke='white' stroke-width='1.600'/></svg>`,
  ].join("");
  const escaped = svg.replace(/[<>#]/g, encodeURIComponent);
  return `<link rel="icon" href="data:image/svg+xml,${escaped}">\n`;
}

function hash(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

async function page(template, { entry, sources, parts }) {
  const { script, style } = await bundle(entry);
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
  const all = { ICON: "", DATA: "", ...parts, CSP: policy, STYLE: style, SCRIPT: safe };
  return template.replace(/%([A-Z]+)%/g, (_, name) => all[name]);
}

let isStale = false;
let bytes = 0;
const template = readFileSync(join(root, "page.html"), "utf8");
for (const { place, ...made } of PAGES) {
  const html = await page(template, made);
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
  console.log(`${basename(place)}: ${(html.length / 1024).toFixed(1)} KiB`);
}
if (bytes > MOST_BYTES) console.error(`the pages have ${bytes} bytes, ${MOST_BYTES} at most`);
process.exit(isStale || bytes > MOST_BYTES ? 1 : 0);
