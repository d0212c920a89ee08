// Sessions that are going on: a store that takes what the program publishes. It keeps the newest frames only.

import type { Entry, Link, PageData, Problem, StateSpan } from "../shared/model";
import type { Charts } from "../shared/live";
import { Indexed } from "./indexed";
import { Store } from "./store";

/** Largest number of entries of a session that are kept, and of characters of their frames. */
const MOST_ENTRIES = 110_000;
const MOST_TEXT = 96_000_000;
/** Part that is dropped at once: dropping costs time. */
const DROPPED = 0.15;
/** Seconds that the charts show. */
const SECONDS = 120;
/** Largest number of latencies that are kept of a second. */
const MOST_LATENCIES = 400;

/** Part of an update, in the form of `ViewUpdate` in Rust. */
interface Addition {
  entry?: Entry;
  link?: Link;
  problem?: Problem;
  state?: StateSpan;
}

/** An update of a session, as the program publishes it. */
export interface Update {
  s: number;
  at: number;
  state?: string;
  u: Addition[];
}

/** Traffic of a second. */
interface Second {
  up: number;
  down: number;
  latencies: number[];
}

/** Traffic of a session, and the number of characters of its frames. */
interface Traffic {
  seconds: Map<number, Second>;
  text: number;
}

function emptySession(name: string, startedUnixMs: number): Indexed {
  return new Indexed({ name, title: "", recorded_from: "", note: "", started_unix_ms: startedUnixMs, has_host: false });
}

export class LiveStore extends Store {
  private readonly traffic: Traffic[] = [];

  constructor(
    data: Omit<PageData, "sessions">,
    names: string[],
    private readonly startedUnixMs: number,
  ) {
    super({ ...data, sessions: [] }, (names.length > 0 ? names : [""]).map((name) => emptySession(name, startedUnixMs)));
  }

  /** Names a session, which may be new. */
  nameSession(at: number, name: string): void {
    const known = this.sessions[at];
    if (known) known.head.name = name;
    else this.sessions[at] = emptySession(name, this.startedUnixMs);
  }

  /** Adds what an update says. Returns true if the open session has changed. */
  apply(update: Update): boolean {
    const session = this.sessions[update.s];
    if (!session) return false;
    // The first update after a beginning in the middle: earlier positions are not known.
    if (session.entries.length === 0) session.base = update.at;
    if (session.states.length === 0 && update.state) {
      session.addState({ at: session.base, t: 0, state: update.state });
    }
    const traffic = (this.traffic[update.s] ??= { seconds: new Map(), text: 0 });
    for (const { entry, link, problem, state } of update.u) {
      if (entry) {
        session.addEntry(entry);
        traffic.text += entry.raw.length;
        if (entry.kind === "frame") {
          const second = secondOf(traffic, entry.t);
          if (entry.from === "gateway") second.up += 1;
          else second.down += 1;
        }
      } else if (link) {
        session.addLink(link);
        const answer = session.entry(link.to);
        if (answer && link.kind === "result") {
          const { latencies } = secondOf(traffic, answer.t);
          if (latencies.length < MOST_LATENCIES) latencies.push(link.ms);
        }
      } else if (problem) session.addProblem(problem);
      else if (state) session.addState(state);
    }
    return session === this.current;
  }

  /** Drops the oldest entries of sessions that have too many. */
  trim(): void {
    this.sessions.forEach((session, at) => {
      const traffic = this.traffic[at];
      if (!traffic || (session.entries.length <= MOST_ENTRIES && traffic.text <= MOST_TEXT)) return;
      let count = 0;
      const least = Math.ceil(session.entries.length * DROPPED);
      while (count < session.entries.length - 1 && (count < least || traffic.text > MOST_TEXT * (1 - DROPPED))) {
        traffic.text -= session.entries[count]?.raw.length ?? 0;
        count += 1;
      }
      session.trim(count);
    });
  }

  override layout(filter: Parameters<Store["layout"]>[0]): ReturnType<Store["layout"]> {
    this.trim();
    return super.layout(filter);
  }

  /** Drops all entries. */
  clear(): void {
    this.sessions.forEach((session, at) => {
      const state = session.states.at(-1);
      session.trim(session.entries.length);
      session.states.length = 0;
      if (state) session.addState({ ...state, at: session.base });
      this.traffic[at] = { seconds: new Map(), text: 0 };
    });
    // No row of what is gone may be asked for.
    this.layOut();
  }

  /** Returns the traffic of the last seconds, up to a time since the start. */
  charts(now: number): Charts {
    const seconds = this.traffic[this.sessions.indexOf(this.current)]?.seconds ?? new Map<number, Second>();
    const last = Math.floor(now / 1000);
    const charts: Charts = { up: [], down: [], median: [], high: [] };
    for (let second = last - SECONDS + 1; second <= last; second += 1) {
      const found = seconds.get(second);
      charts.up.push(found?.up ?? 0);
      charts.down.push(found?.down ?? 0);
      const sorted = [...(found?.latencies ?? [])].sort((a, b) => a - b);
      charts.median.push(sorted[Math.floor(sorted.length / 2)]);
      charts.high.push(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))]);
    }
    for (const second of seconds.keys()) if (second < last - 2 * SECONDS) seconds.delete(second);
    return charts;
  }
}

function secondOf(traffic: Traffic, t: number): Second {
  const at = Math.floor(t / 1000);
  let second = traffic.seconds.get(at);
  if (!second) {
    second = { up: 0, down: 0, latencies: [] };
    traffic.seconds.set(at, second);
  }
  return second;
}
