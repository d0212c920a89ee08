// A session with its indexes, which grows at its end and, if it is live, shrinks at its beginning. Positions of the session
// count from its first entry ever; those of its arrays from the first one that is kept.

import type { Entry, Link, Problem, Session, StateSpan, TurnSpan } from "../shared/model";

/** Number of turns that are drawn side by side. */
const SLOTS = 3;

/** Text of a value that is hidden. */
const HIDDEN = "•••";
/** Fields whose values are words of the protocol, and are shown also while texts are hidden. */
const PLAIN = new Set(["type", "op", "platform", "message_type", "chat_type", "status", "code", "dir", "timer", "kind"]);

export class Indexed {
  /** Position of the first entry that is kept. */
  base = 0;
  readonly entries: Entry[] = [];
  readonly links: Link[] = [];
  readonly problems: Problem[] = [];
  readonly states: StateSpan[] = [];
  readonly turns = new Map<number, TurnSpan>();
  readonly problemsAt = new Map<number, Problem[]>();
  readonly linksAt = new Map<number, Link[]>();
  /** Turn that is drawn in each slot at each entry that is kept, or 0. */
  slots: Int32Array[] = [];
  /** Lower case text of each entry, made when it is first searched. */
  private texts: (string | undefined)[] = [];
  private areProblemsSorted = true;

  constructor(readonly head: Omit<Session, "entries" | "links" | "states" | "turns" | "problems">) {}

  /** Creates the index of a whole session. */
  static of(session: Session): Indexed {
    const { entries, links, states, turns, problems, ...head } = session;
    const indexed = new Indexed(head);
    for (const entry of entries) indexed.entries.push(entry);
    for (const link of links) indexed.addLink(link);
    for (const problem of problems) indexed.addProblem(problem);
    for (const state of states) indexed.states.push(state);
    turns.forEach((turn, at) => indexed.turns.set(at + 1, turn));
    return indexed;
  }

  /** Position after the last entry. */
  get end(): number {
    return this.base + this.entries.length;
  }

  entry(at: number): Entry | undefined {
    return this.entries[at - this.base];
  }

  addEntry(entry: Entry): void {
    const at = this.end;
    this.entries.push(entry);
    if (!entry.turn) return;
    const turn = this.turns.get(entry.turn);
    if (turn) {
      turn.last = at;
      turn.entries += 1;
    } else this.turns.set(entry.turn, { first: at, last: at, entries: 1 });
  }

  addLink(link: Link): void {
    if (link.to < this.base) return;
    this.links.push(link);
    push(this.linksAt, link.from, link);
    push(this.linksAt, link.to, link);
  }

  addProblem(problem: Problem): void {
    if (problem.at < this.base) return;
    const last = this.problems.at(-1);
    if (last && last.at > problem.at) this.areProblemsSorted = false;
    this.problems.push(problem);
    push(this.problemsAt, problem.at, problem);
  }

  addState(state: StateSpan): void {
    this.states.push(state);
  }

  /** Returns the problems by position. */
  sortedProblems(): Problem[] {
    if (!this.areProblemsSorted) {
      this.problems.sort((a, b) => a.at - b.at);
      this.areProblemsSorted = true;
    }
    return this.problems;
  }

  /** Drops the oldest entries, and what belongs to them. */
  trim(count: number): void {
    const base = this.base + count;
    this.entries.splice(0, count);
    this.texts.splice(0, count);
    this.base = base;
    keep(this.links, (link) => link.to >= base);
    keep(this.problems, (problem) => problem.at >= base);
    for (const map of [this.linksAt, this.problemsAt]) {
      for (const at of map.keys()) if (at < base) map.delete(at);
    }
    for (const [number, turn] of this.turns) if (turn.last < base) this.turns.delete(number);
    // The last state before the first entry goes on.
    const first = this.stateIndex(base);
    if (first > 0) this.states.splice(0, first);
  }

  /** Returns the position of the state at an entry in the list of states, or -1. */
  private stateIndex(at: number): number {
    let [low, high] = [0, this.states.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.states[middle]?.at ?? Infinity) <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  stateAt(at: number): string | undefined {
    return this.states[this.stateIndex(at)]?.state;
  }

  text(at: number): string {
    const known = this.texts[at - this.base];
    if (known !== undefined) return known;
    const entry = this.entry(at);
    const text = entry ? `${entry.type} ${entry.op ?? ""} ${entry.gist ?? ""} ${entry.raw}`.toLowerCase() : "";
    this.texts[at - this.base] = text;
    return text;
  }

  /** Gives each turn of several entries a slot in which no other is drawn. */
  drawTurns(): void {
    const size = this.entries.length;
    this.slots = Array.from({ length: SLOTS }, () => new Int32Array(size));
    const free = new Array<number>(SLOTS).fill(-1);
    for (const [number, turn] of this.turns) {
      const slot = free.findIndex((last) => last < turn.first);
      if (slot < 0 || turn.entries < 2) continue;
      free[slot] = turn.last;
      this.slots[slot]?.fill(number, Math.max(0, turn.first - this.base), turn.last - this.base + 1);
    }
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Keeps the values of a list that fit. */
function keep<V>(list: V[], fits: (value: V) => boolean): void {
  let size = 0;
  for (const value of list) {
    if (!fits(value)) continue;
    list[size] = value;
    size += 1;
  }
  list.length = size;
}

/** Returns a text of a frame without what people wrote, and without ids. */
export function hidden(raw: string): string {
  const mask = (value: unknown, name: string): unknown => {
    if (typeof value === "string") return PLAIN.has(name) ? value : HIDDEN;
    if (typeof value === "number") return PLAIN.has(name) || value < 1_000_000 ? value : 0;
    if (Array.isArray(value)) return value.map((item) => mask(item, name));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mask(item, key)]));
    }
    return value;
  };
  try {
    return JSON.stringify(mask(JSON.parse(raw), ""));
  } catch {
    return HIDDEN;
  }
}
