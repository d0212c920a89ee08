// Sessions in memory, filtered and laid out as rows. It runs in a worker, so that the page never waits for it.

import type { Entry, PageData, Problem, Rule } from "../shared/model";
import type { Details, Facets, Filter, Layout, Row, RowKind, Summary } from "../shared/rows";
import { emptyFilter, needleOf } from "../shared/rows";
import { Indexed, hidden } from "./indexed";

/** Time without an entry that is shown as a fold. */
const FOLD_MS = 2000;
/** Heights of rows in pixels, as `viewer.css` has them. */
export const HEIGHTS: Record<RowKind, number> = { entry: 36, note: 70, fold: 30 };
const KINDS: RowKind[] = ["entry", "note", "fold"];
/** Number of columns of the overview. */
const COLUMNS = 240;

export class Store {
  protected readonly sessions: Indexed[];
  private readonly tool: string;
  private readonly rules: Record<string, Rule>;
  protected current: Indexed;
  /** True while texts are not shown. */
  private hidesText = false;
  private filter: Filter = emptyFilter();
  private kinds = new Uint8Array();
  private refs = new Int32Array();
  private tops = new Float64Array(1);
  /** Row of each entry that is kept, or -1. */
  private rowOf = new Int32Array();
  /** Position of the first entry in the rows. */
  private base = 0;
  private shown = 0;

  constructor(data: PageData, sessions = data.sessions.map((session) => Indexed.of(session))) {
    this.sessions = sessions;
    this.tool = data.tool;
    this.rules = data.rules;
    const first = this.sessions[0];
    if (!first) throw new Error("the page has no session");
    this.current = first;
    this.layOut();
  }

  summary(): Summary {
    const names = this.sessions.map(({ head, entries, problems }) => ({
      name: head.name,
      title: head.title,
      entries: entries.length,
      errors: problems.filter((problem) => this.rules[problem.kind]?.severity === "error").length,
    }));
    return { tool: this.tool, rules: this.rules, sessions: names };
  }

  /** Hides texts and ids in all that is returned, or shows them again. */
  hideText(hides: boolean): void {
    this.hidesText = hides;
  }

  /** Opens a session. Returns its head, its problems, its overview and the choices of its filters. */
  open(at: number): Facets {
    this.current = this.sessions[at] ?? this.current;
    return this.facets();
  }

  private facets(): Facets {
    const { head, entries, problems, base, turns } = this.current;
    const chats = new Map<string, number>();
    const keys = new Map<string, number>();
    const types = new Map<string, number>();
    const add = (map: Map<string, number>, key: string | undefined) => {
      if (key) map.set(key, (map.get(key) ?? 0) + 1);
    };
    for (const entry of entries) {
      add(chats, entry.chat);
      add(keys, entry.session);
      add(types, entry.type);
    }
    const counted = (map: Map<string, number>, word = "") =>
      [...map]
        .sort((a, b) => b[1] - a[1])
        .slice(0, 500)
        .map(([value, number], at) => ({ value, number, ...(this.hidesText && word ? { shown: `${word} ${at + 1}` } : {}) }));
    const found = new Map<string, { kind: string; count: number; first: { at: number; id: string; t: number }[] }>();
    for (const problem of problems) {
      const group = found.get(problem.kind) ?? { kind: problem.kind, count: 0, first: [] };
      found.set(problem.kind, group);
      group.count += 1;
      const entry = this.current.entry(problem.at);
      if (entry && group.first.length < 4) group.first.push({ at: problem.at, id: entry.id, t: entry.t });
    }
    const order = (kind: string) => this.rules[kind]?.order ?? 0;
    const weight = (kind: string) => ["error", "warning", "note"].indexOf(this.rules[kind]?.severity ?? "note");
    const groups = [...found.values()].sort(
      (a, b) => weight(a.kind) - weight(b.kind) || order(a.kind) - order(b.kind),
    );
    return {
      name: head.name,
      title: head.title,
      recordedFrom: head.recorded_from,
      note: head.note,
      startedUnixMs: head.started_unix_ms,
      hasHost: head.has_host,
      noStates: head.no_states,
      entries: entries.length,
      dropped: base,
      turns: turns.size,
      lastMs: entries.at(-1)?.t ?? 0,
      chats: counted(chats, "chat"),
      keys: counted(keys, "session"),
      types: counted(types),
      problems: groups,
      overview: this.overview(),
    };
  }

  /** Returns frames in each direction and the worst problem, by column of time; and the states. */
  private overview(): Facets["overview"] {
    const { entries, problems, states } = this.current;
    const last = Math.max(1, entries.at(-1)?.t ?? 1);
    const column = (t: number) => Math.min(COLUMNS - 1, Math.floor((t / last) * COLUMNS));
    const up = new Array<number>(COLUMNS).fill(0);
    const down = new Array<number>(COLUMNS).fill(0);
    const marks = new Array<number>(COLUMNS).fill(0);
    for (const entry of entries) {
      if (entry.kind !== "frame") continue;
      const side = entry.from === "gateway" ? up : down;
      side[column(entry.t)] = (side[column(entry.t)] ?? 0) + 1;
    }
    const weights = { error: 3, warning: 2, note: 1 };
    for (const problem of problems) {
      const at = column(this.current.entry(problem.at)?.t ?? 0);
      const weight = weights[this.rules[problem.kind]?.severity ?? "note"];
      marks[at] = Math.max(marks[at] ?? 0, weight);
    }
    const spans = states.map((state) => ({ from: state.t / last, state: state.state }));
    return { up, down, marks, states: spans.slice(0, 5000) };
  }

  /** Filters the session. */
  layout(filter: Filter): Layout {
    this.filter = filter;
    this.layOut();
    const height = this.tops[this.kinds.length] ?? 0;
    return { rows: this.kinds.length, height, shown: this.shown, entries: this.current.entries.length, end: this.current.end };
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

  protected layOut(): void {
    const { entries, problemsAt, base } = this.current;
    const problems = this.current.sortedProblems();
    const needle = needleOf(this.filter);
    const kinds: number[] = [];
    const refs: number[] = [];
    const tops: number[] = [0];
    let top = 0;
    let before: number | undefined;
    this.current.drawTurns();
    this.base = base;
    this.shown = 0;
    this.rowOf = new Int32Array(entries.length).fill(-1);
    const add = (kind: RowKind, ref: number) => {
      kinds.push(KINDS.indexOf(kind));
      refs.push(ref);
      top += HEIGHTS[kind];
      tops.push(top);
    };
    let problem = 0;
    entries.forEach((entry, index) => {
      const at = base + index;
      while ((problems[problem]?.at ?? Infinity) < at) problem += 1;
      if (!this.matches(at, entry, needle)) return;
      if (before !== undefined && entry.t - before >= FOLD_MS) add("fold", at);
      before = entry.t;
      this.rowOf[index] = kinds.length;
      this.shown += 1;
      add("entry", at);
      if (problemsAt.has(at)) {
        for (let next = problem; problems[next]?.at === at; next += 1) add("note", next);
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
    const { current } = this;
    const kind = KINDS[this.kinds[index] ?? 0] ?? "entry";
    const ref = this.refs[index] ?? 0;
    const at = kind === "note" ? (current.problems[ref]?.at ?? 0) : ref;
    const entry = current.entry(at);
    const top = this.tops[index] ?? 0;
    const state = current.stateAt(at);
    // The entry that is shown before this one.
    let previous = index - 1;
    while (previous >= 0 && this.kinds[previous] !== 0) previous -= 1;
    const before = previous < 0 ? undefined : this.refs[previous];
    const common = {
      index,
      at,
      top,
      state,
      beginsState: before === undefined || current.stateAt(before) !== state,
      turns: current.slots.map((slot) => {
        const turn = slot[at - this.base] ?? 0;
        const span = current.turns.get(turn);
        return { turn, begins: span?.first === at && kind === "entry", ends: span?.last === at };
      }),
    };
    if (kind === "note") {
      const problem = current.problems[ref];
      return { ...common, kind, problem: { kind: problem?.kind ?? "", detail: this.detail(problem) } };
    }
    const since = before === undefined ? 0 : (entry?.t ?? 0) - (current.entry(before)?.t ?? 0);
    if (kind === "fold") return { ...common, kind, ms: since };
    const problems = current.problemsAt.get(at) ?? [];
    const severities = problems.map((problem) => this.rules[problem.kind]?.severity ?? "note");
    const worst = (["error", "warning", "note"] as const).find((severity) => severities.includes(severity));
    const { raw: _, ...light } = this.shownEntry(entry as Entry);
    const links = (current.linksAt.get(at) ?? []).filter((link) => link.kind !== "rest" && link.kind !== "end");
    const answer = links.find((link) => link.from === at && link.kind !== "again") ?? links.find((link) => link.to === at);
    const isAnswer = answer !== undefined && answer.to === at;
    const answered = answer && { ms: answer.ms, isAnswer, with: isAnswer ? answer.from : answer.to, kind: answer.kind };
    return { ...common, kind, entry: light, since, worst, answered };
  }

  /** Returns an entry as it is shown: without its texts while they are hidden. */
  private shownEntry(entry: Entry): Entry {
    if (!this.hidesText) return entry;
    const { gist: _, chat: __, session: ___, buffer, ...rest } = entry;
    return { ...rest, ...(buffer ? { buffer: "•••" } : {}), raw: hidden(entry.raw) };
  }

  private detail(problem: Problem | undefined): string {
    return this.hidesText ? "" : (problem?.detail ?? "");
  }

  private rowOfEntry(at: number): number {
    return this.rowOf[at - this.base] ?? -1;
  }

  /** Returns the row and place of an entry, or nothing if the filter hides it. */
  place(at: number): { index: number; top: number } | undefined {
    const index = this.rowOfEntry(at);
    return index < 0 ? undefined : { index, top: this.tops[index] ?? 0 };
  }

  /** Returns the entry of an id. */
  byId(id: string): number | undefined {
    const at = this.current.entries.findIndex((entry) => entry.id === id);
    return at < 0 ? undefined : this.current.base + at;
  }

  /** Returns the entry that is shown some entries after or before another one. */
  step(at: number | undefined, by: number): number | undefined {
    const [first, end] = [this.base, this.base + this.rowOf.length];
    const sign = Math.sign(by);
    let left = Math.abs(by);
    let [next, found] = [at ?? (sign > 0 ? first - 1 : end), at];
    while (left > 0) {
      next += sign;
      if (next < first || next >= end) break;
      if (this.rowOfEntry(next) >= 0) {
        found = next;
        left -= 1;
      }
    }
    return found;
  }

  /** Returns the next entry that is shown and has a problem (of a kind). */
  nextProblem(at: number | undefined, forward: boolean, kind?: string): number | undefined {
    const fits = (problem: Problem) => (!kind || problem.kind === kind) && this.rowOfEntry(problem.at) >= 0;
    // The list may not be sorted: problems of a live session come late.
    const sign = forward ? 1 : -1;
    const from = at ?? (forward ? -1 : Infinity);
    let next: number | undefined;
    let around: number | undefined;
    for (const problem of this.current.problems) {
      if (!fits(problem)) continue;
      const isBefore = (other: number | undefined) => other === undefined || sign * problem.at < sign * other;
      if (sign * problem.at > sign * from && isBefore(next)) next = problem.at;
      if (isBefore(around)) around = problem.at;
    }
    return next ?? around;
  }

  /** Returns the first entry that is shown at or after a part of the session. */
  atTime(part: number): number | undefined {
    const { entries } = this.current;
    const time = part * (entries.at(-1)?.t ?? 0);
    const at = entries.findIndex((entry, at) => entry.t >= time && (this.rowOf[at] ?? -1) >= 0);
    return at < 0 ? undefined : this.base + at;
  }

  details(at: number): Details | undefined {
    const { current } = this;
    const entry = current.entry(at);
    if (!entry) return undefined;
    const links = (current.linksAt.get(at) ?? []).slice(0, 20).map((link) => {
      const isLater = link.from === at;
      const other = current.entry(isLater ? link.to : link.from);
      const name = other ? `${other.type}${other.op ? ` ${other.op}` : ""}` : "";
      return { kind: link.kind, ms: link.ms, at: isLater ? link.to : link.from, id: other?.id ?? "", name, isLater };
    });
    const span = entry.turn ? current.turns.get(entry.turn) : undefined;
    return {
      at,
      entry: this.shownEntry(entry),
      state: current.stateAt(at),
      links: links.filter((link) => link.id),
      turnEntries: span?.entries ?? 0,
      problems: (current.problemsAt.get(at) ?? []).map((problem) => ({ kind: problem.kind, detail: this.detail(problem) })),
    };
  }
}
