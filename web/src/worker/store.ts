// Sessions in memory, filtered and laid out as rows. It runs in a worker, so that the page never waits for it.

import type { Entry, Link, PageData, Problem, Rule, Session } from "../shared/model";
import type { Details, Facets, Filter, Layout, Row, RowKind, Summary } from "../shared/rows";
import { emptyFilter } from "../shared/rows";

/** Time without an entry that is shown as a fold. */
const FOLD_MS = 2000;
/** Heights of rows in pixels, as `viewer.css` has them. */
export const HEIGHTS: Record<RowKind, number> = { entry: 36, note: 70, fold: 30 };
const KINDS: RowKind[] = ["entry", "note", "fold"];
/** Number of turns that are drawn side by side. */
const SLOTS = 3;
/** Number of columns of the overview. */
const COLUMNS = 240;

/** A session with its indexes. */
class Indexed {
  readonly problemsAt = new Map<number, Problem[]>();
  readonly linksAt = new Map<number, Link[]>();
  /** Position of the last state at or before each entry, or -1. */
  readonly stateAt: Int32Array;
  /** Turn that is drawn in each slot at each entry, or 0. */
  readonly slots: Int32Array[];
  /** Lower case text of each entry, made when it is first searched. */
  private readonly texts: (string | undefined)[] = [];

  constructor(readonly session: Session) {
    const size = session.entries.length;
    for (const problem of session.problems) push(this.problemsAt, problem.at, problem);
    for (const link of session.links) {
      push(this.linksAt, link.from, link);
      push(this.linksAt, link.to, link);
    }
    this.stateAt = new Int32Array(size).fill(-1);
    session.states.forEach((state, at) => {
      const next = session.states[at + 1]?.at ?? size;
      this.stateAt.fill(at, Math.min(state.at, size), Math.max(next, state.at));
    });
    this.slots = Array.from({ length: SLOTS }, () => new Int32Array(size));
    const free = new Array<number>(SLOTS).fill(-1);
    session.turns.forEach((turn, at) => {
      const slot = free.findIndex((last) => last < turn.first);
      if (slot < 0 || turn.entries < 2) return;
      free[slot] = turn.last;
      this.slots[slot]?.fill(at + 1, turn.first, turn.last + 1);
    });
  }

  text(at: number): string {
    const known = this.texts[at];
    if (known !== undefined) return known;
    const entry = this.session.entries[at];
    const text = entry ? `${entry.type} ${entry.op ?? ""} ${entry.gist ?? ""} ${entry.raw}`.toLowerCase() : "";
    this.texts[at] = text;
    return text;
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

export class Store {
  private readonly sessions: Indexed[];
  private readonly rules: Record<string, Rule>;
  private current: Indexed;
  private filter: Filter = emptyFilter();
  private kinds = new Uint8Array();
  private refs = new Int32Array();
  private tops = new Float64Array(1);
  /** Row of each entry, or -1. */
  private rowOf = new Int32Array();
  private shown = 0;

  constructor(private readonly data: PageData) {
    this.sessions = data.sessions.map((session) => new Indexed(session));
    this.rules = data.rules;
    const first = this.sessions[0];
    if (!first) throw new Error("the page has no session");
    this.current = first;
    this.layOut();
  }

  summary(): Summary {
    const names = this.data.sessions.map((session) => ({
      name: session.name,
      title: session.title,
      entries: session.entries.length,
      errors: session.problems.filter((problem) => this.rules[problem.kind]?.severity === "error").length,
    }));
    return { tool: this.data.tool, rules: this.rules, sessions: names };
  }

  /** Opens a session, and returns what its filters can choose from. */
  open(at: number): Facets {
    this.current = this.sessions[at] ?? this.current;
    const { session } = this.current;
    const chats = new Map<string, number>();
    const keys = new Map<string, number>();
    const types = new Map<string, number>();
    const add = (map: Map<string, number>, key: string | undefined) => {
      if (key) map.set(key, (map.get(key) ?? 0) + 1);
    };
    for (const entry of session.entries) {
      add(chats, entry.chat);
      add(keys, entry.session);
      add(types, entry.type);
    }
    const counted = (map: Map<string, number>) =>
      [...map].sort((a, b) => b[1] - a[1]).slice(0, 500).map(([value, number]) => ({ value, number }));
    const problems = new Map<string, { kind: string; count: number; first: { at: number; id: string; t: number }[] }>();
    for (const problem of session.problems) {
      const group = problems.get(problem.kind) ?? { kind: problem.kind, count: 0, first: [] };
      problems.set(problem.kind, group);
      group.count += 1;
      const entry = session.entries[problem.at];
      if (entry && group.first.length < 4) group.first.push({ at: problem.at, id: entry.id, t: entry.t });
    }
    const order = (kind: string) => this.rules[kind]?.order ?? 0;
    const weight = (kind: string) => ["error", "warning", "note"].indexOf(this.rules[kind]?.severity ?? "note");
    const groups = [...problems.values()].sort(
      (a, b) => weight(a.kind) - weight(b.kind) || order(a.kind) - order(b.kind),
    );
    const { entries, ...rest } = session;
    return {
      name: rest.name,
      title: rest.title,
      recordedFrom: rest.recorded_from,
      note: rest.note,
      startedUnixMs: rest.started_unix_ms,
      hasHost: rest.has_host,
      noStates: rest.no_states,
      entries: entries.length,
      turns: session.turns.length,
      lastMs: entries.at(-1)?.t ?? 0,
      chats: counted(chats),
      keys: counted(keys),
      types: counted(types),
      problems: groups,
      overview: this.overview(),
    };
  }

  /** Returns frames in each direction and the worst problem, by column of time; and the states. */
  private overview(): Facets["overview"] {
    const { session } = this.current;
    const last = Math.max(1, session.entries.at(-1)?.t ?? 1);
    const column = (t: number) => Math.min(COLUMNS - 1, Math.floor((t / last) * COLUMNS));
    const up = new Array<number>(COLUMNS).fill(0);
    const down = new Array<number>(COLUMNS).fill(0);
    const marks = new Array<number>(COLUMNS).fill(0);
    for (const entry of session.entries) {
      if (entry.kind !== "frame") continue;
      const side = entry.from === "gateway" ? up : down;
      side[column(entry.t)] = (side[column(entry.t)] ?? 0) + 1;
    }
    const weights = { error: 3, warning: 2, note: 1 };
    for (const problem of session.problems) {
      const at = column(session.entries[problem.at]?.t ?? 0);
      const weight = weights[this.rules[problem.kind]?.severity ?? "note"];
      marks[at] = Math.max(marks[at] ?? 0, weight);
    }
    const states = session.states.map((state) => ({ from: state.t / last, state: state.state }));
    return { up, down, marks, states: states.slice(0, 5000) };
  }

  /** Filters the session. */
  layout(filter: Filter): Layout {
    this.filter = filter;
    this.layOut();
    return { rows: this.kinds.length, height: this.tops[this.kinds.length] ?? 0, shown: this.shown };
  }

  private matches(at: number, entry: Entry, needle: string): boolean {
    const { filter } = this;
    if (filter.chat && entry.chat !== filter.chat) return false;
    if (filter.key && entry.session !== filter.key) return false;
    if (filter.type && entry.type !== filter.type) return false;
    if (filter.turn && entry.turn !== filter.turn) return false;
    if (filter.direction) {
      const [from, to] = filter.direction.split(">");
      if (entry.from !== from || entry.to !== to) return false;
    }
    if (filter.problem) {
      const problems = this.current.problemsAt.get(at);
      if (!problems) return false;
      if (filter.problem !== "any" && !problems.some((problem) => problem.kind === filter.problem)) return false;
    }
    return !needle || this.current.text(at).includes(needle);
  }

  private layOut(): void {
    const { session, problemsAt } = this.current;
    const needle = this.filter.text.trim().toLowerCase();
    const kinds: number[] = [];
    const refs: number[] = [];
    const tops: number[] = [0];
    let top = 0;
    let before: number | undefined;
    this.shown = 0;
    this.rowOf = new Int32Array(session.entries.length).fill(-1);
    const add = (kind: RowKind, ref: number) => {
      kinds.push(KINDS.indexOf(kind));
      refs.push(ref);
      top += HEIGHTS[kind];
      tops.push(top);
    };
    let problem = 0;
    session.entries.forEach((entry, at) => {
      while ((session.problems[problem]?.at ?? Infinity) < at) problem += 1;
      if (!this.matches(at, entry, needle)) return;
      if (before !== undefined && entry.t - before >= FOLD_MS) add("fold", at);
      before = entry.t;
      this.rowOf[at] = kinds.length;
      this.shown += 1;
      add("entry", at);
      if (problemsAt.has(at)) {
        for (let next = problem; session.problems[next]?.at === at; next += 1) add("note", next);
      }
    });
    this.kinds = Uint8Array.from(kinds);
    this.refs = Int32Array.from(refs);
    this.tops = Float64Array.from(tops);
  }

  /** Returns the rows between two places, in pixels. */
  rows(from: number, to: number): Row[] {
    const rows: Row[] = [];
    for (let at = this.rowAt(from); at < this.kinds.length && (this.tops[at] ?? 0) < to; at += 1) {
      rows.push(this.row(at));
    }
    return rows;
  }

  private rowAt(place: number): number {
    let [low, high] = [0, this.kinds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.tops[middle + 1] ?? Infinity) <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private row(index: number): Row {
    const { session, problemsAt, linksAt, stateAt, slots } = this.current;
    const kind = KINDS[this.kinds[index] ?? 0] ?? "entry";
    const ref = this.refs[index] ?? 0;
    const at = kind === "note" ? (session.problems[ref]?.at ?? 0) : ref;
    const entry = session.entries[at];
    const top = this.tops[index] ?? 0;
    const state = session.states[stateAt[at] ?? -1]?.state;
    // The entry that is shown before this one.
    let previous = index - 1;
    while (previous >= 0 && this.kinds[previous] !== 0) previous -= 1;
    const before = previous < 0 ? undefined : this.refs[previous];
    const common = {
      index,
      at,
      top,
      state,
      beginsState: before === undefined || session.states[stateAt[before] ?? -1]?.state !== state,
      turns: slots.map((slot) => {
        const turn = slot[at] ?? 0;
        const span = session.turns[turn - 1];
        return { turn, begins: span?.first === at && kind === "entry", ends: span?.last === at };
      }),
    };
    if (kind === "note") {
      const problem = session.problems[ref];
      return { ...common, kind, problem: { kind: problem?.kind ?? "", detail: problem?.detail ?? "" } };
    }
    const since = before === undefined ? 0 : (entry?.t ?? 0) - (session.entries[before]?.t ?? 0);
    if (kind === "fold") return { ...common, kind, ms: since };
    const problems = problemsAt.get(at) ?? [];
    const severities = problems.map((problem) => this.rules[problem.kind]?.severity ?? "note");
    const worst = (["error", "warning", "note"] as const).find((severity) => severities.includes(severity));
    const { raw: _, ...light } = entry as Entry;
    const links = (linksAt.get(at) ?? []).filter((link) => link.kind !== "rest" && link.kind !== "end");
    const answer = links.find((link) => link.from === at && link.kind !== "again") ?? links.find((link) => link.to === at);
    const isAnswer = answer !== undefined && answer.to === at;
    const answered = answer && { ms: answer.ms, isAnswer, with: isAnswer ? answer.from : answer.to, kind: answer.kind };
    return { ...common, kind, entry: light, since, worst, answered };
  }

  /** Returns the row and place of an entry, or nothing if the filter hides it. */
  place(at: number): { index: number; top: number } | undefined {
    const index = this.rowOf[at] ?? -1;
    return index < 0 ? undefined : { index, top: this.tops[index] ?? 0 };
  }

  /** Returns the entry of an id. */
  byId(id: string): number | undefined {
    const at = this.current.session.entries.findIndex((entry) => entry.id === id);
    return at < 0 ? undefined : at;
  }

  /** Returns the entry that is shown some entries after or before another one. */
  step(at: number | undefined, by: number): number | undefined {
    const size = this.current.session.entries.length;
    const sign = Math.sign(by);
    let left = Math.abs(by);
    let [next, found] = [at ?? (sign > 0 ? -1 : size), at];
    while (left > 0) {
      next += sign;
      if (next < 0 || next >= size) break;
      if ((this.rowOf[next] ?? -1) >= 0) {
        found = next;
        left -= 1;
      }
    }
    return found;
  }

  /** Returns the next entry that is shown and has a problem (of a kind). */
  nextProblem(at: number | undefined, forward: boolean, kind?: string): number | undefined {
    const fits = (problem: Problem) => (!kind || problem.kind === kind) && (this.rowOf[problem.at] ?? -1) >= 0;
    const { problems } = this.current.session;
    if (forward) return (problems.find((one) => one.at > (at ?? -1) && fits(one)) ?? problems.find(fits))?.at;
    return (problems.findLast((one) => one.at < (at ?? Infinity) && fits(one)) ?? problems.findLast(fits))?.at;
  }

  /** Returns the first entry that is shown at or after a part of the session. */
  atTime(part: number): number | undefined {
    const { entries } = this.current.session;
    const time = part * (entries.at(-1)?.t ?? 0);
    const at = entries.findIndex((entry, at) => entry.t >= time && (this.rowOf[at] ?? -1) >= 0);
    return at < 0 ? undefined : at;
  }

  details(at: number): Details | undefined {
    const { session, problemsAt, linksAt, stateAt } = this.current;
    const entry = session.entries[at];
    if (!entry) return undefined;
    const links = (linksAt.get(at) ?? []).slice(0, 20).map((link) => {
      const isLater = link.from === at;
      const other = session.entries[isLater ? link.to : link.from];
      const name = other ? `${other.type}${other.op ? ` ${other.op}` : ""}` : "";
      return { kind: link.kind, ms: link.ms, at: isLater ? link.to : link.from, id: other?.id ?? "", name, isLater };
    });
    const span = entry.turn ? session.turns[entry.turn - 1] : undefined;
    return {
      at,
      entry,
      state: session.states[stateAt[at] ?? -1]?.state,
      links,
      turnEntries: span?.entries ?? 0,
      problems: (problemsAt.get(at) ?? []).map((problem) => ({ kind: problem.kind, detail: problem.detail ?? "" })),
    };
  }
}
