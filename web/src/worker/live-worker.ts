// The worker of a live page: reads the events of the program, keeps the sessions, and answers the page's questions.

import type { Notice, Snapshot, Status } from "../shared/live";
import { watchLink } from "../shared/program";
import { type Question, answerQuestions, call } from "./answers";
import { LiveStore, type Update } from "./live-store";

/** Least time between two notices of changes, in milliseconds. */
const LEAST_WAIT = 100;
/** A question of this share of the time at most goes to laying out. */
const SHARE = 4;

let store: LiveStore | undefined;
let source: EventSource | undefined;
let address = "";
/** Last event that was read. */
let last = "";
let isNoticed = false;
/** Time that the last layout took. */
let cost = 0;
let hidesText = false;

function tell(notice: Notice): void {
  self.postMessage({ notice });
}

/** Tells the page soon that rows have changed, unless it is told already. */
function change(): void {
  if (isNoticed) return;
  isNoticed = true;
  setTimeout(() => {
    isNoticed = false;
    if (store) tell({ kind: "changed" });
  }, Math.max(LEAST_WAIT, cost * SHARE));
}

function listen(): void {
  source?.close();
  const events = new EventSource(last ? `${address}?last=${last}` : address);
  source = events;
  watchLink(events, (link) => tell({ kind: "link", link }));
  const on = (name: string, act: (data: string) => void) =>
    events.addEventListener(name, (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      if (lastEventId) last = lastEventId;
      act(data);
    });
  on("reset", (data) => {
    const { rules, ...snapshot } = JSON.parse(data) as Snapshot;
    store = new LiveStore({ tool: snapshot.tool, rules }, snapshot.sessions, snapshot.started_unix_ms);
    store.hideText(hidesText);
    tell({ kind: "begun", snapshot, summary: store.summary() });
  });
  on("session", (data) => {
    const { s, name } = JSON.parse(data) as { s: number; name: string };
    store?.nameSession(s, name);
    if (store) tell({ kind: "changed", summary: store.summary() });
  });
  on("update", (data) => {
    if (store?.apply(JSON.parse(data) as Update)) change();
  });
  on("clear", () => {
    store?.clear();
    change();
  });
  on("status", (data) => tell({ kind: "status", status: JSON.parse(data) as Status }));
}

const own: Record<string, (...values: never[]) => unknown> = {
  /** Begins to read the events at an address. */
  connect(url: string) {
    address = url;
    listen();
  },
  /** Stops reading. What comes meanwhile is read at `resume`, as far as the program keeps it. */
  pause() {
    source?.close();
  },
  resume() {
    listen();
  },
};

answerQuestions((question: Question) => {
  if (question.method in own) return call(own, question);
  if (!store) throw new Error("there is no session yet");
  if (question.method === "hideText") hidesText = question.values[0] as boolean;
  const begin = performance.now();
  const value = call(store, question);
  if (question.method === "layout") cost = performance.now() - begin;
  return value;
});
