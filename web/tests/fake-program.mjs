// A program that publishes a recorded session as if it went on: for tests with more frames than real programs make in
// the time of a test.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

const PAGE = readFileSync(join(import.meta.dirname, "../../cli/src/inspector/page/inspector.html"), "utf8");
const POLICY = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(PAGE)[1];

/** Returns the data of a page that `relayline view` has made. */
function dataOf(path) {
  const html = readFileSync(path, "utf8");
  const { data } = JSON.parse(/<script type="application\/json" id="sessions">(.*?)<\/script>/s.exec(html)[1]);
  return JSON.parse(inflateRawSync(Buffer.from(data, "base64")));
}

/** Returns the updates that add a session's entries one by one, each with what refers to it as the last. */
function updatesOf({ entries, links, problems, states }) {
  const updates = entries.map((entry, at) => ({ s: 0, at, u: [{ entry }] }));
  for (const link of links) updates[link.to].u.push({ link });
  for (const problem of problems) updates[problem.at].u.push({ problem });
  for (const state of states) updates[Math.min(state.at, entries.length - 1)].u.push({ state });
  return updates;
}

/** Serves the first session of a page, `batch` updates every few milliseconds once `begin` is called. */
export async function serveFake(path, { batch = 500 } = {}) {
  const { tool, rules, sessions } = dataOf(path);
  const updates = updatesOf(sessions[0]);
  let next = 0;
  let begun = () => {};
  const begin = new Promise((resolve) => (begun = resolve));
  const server = createServer(async (request, response) => {
    if (request.url === "/") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY });
      return response.end(PAGE);
    }
    if (!request.url.startsWith("/events")) return response.writeHead(204).end();
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (name, data, id) => response.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    const head = { kind: "gateway", hides_text: false, started_unix_ms: Date.now(), sessions: [sessions[0].name], dropped: 0 };
    send("reset", { tool, rules, ...head }, 0);
    await begin;
    for (let at = next; at < updates.length; at += batch) {
      for (const [more, update] of updates.slice(at, at + batch).entries()) send("update", update, at + more + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    send("status", {
      t: updates.at(-1).u[0].entry.t,
      phase: "connected",
      phase_for_ms: 5,
      counters: { frames_in: updates.length },
      queues: {},
      page: { lost: 0, dropped: 0, lagged: 0, refused: 0 },
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    updates: updates.length,
    begin: () => begun(),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
