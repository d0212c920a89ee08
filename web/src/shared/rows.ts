// Questions of the page to its worker, and the answers.

import type { Entry, Lane, Link, Rule, Severity } from "./model";

export type RowKind = "entry" | "note" | "fold";

/** Conditions that an entry must meet to be shown. Empty ones are met by all. */
export interface Filter {
  text: string;
  chat: string;
  key: string;
  type: string;
  /** As in `gateway>connector`. */
  direction: string;
  /** A kind of problem, or `any`. */
  problem: string;
  turn: number;
}

export function emptyFilter(): Filter {
  return { text: "", chat: "", key: "", type: "", direction: "", problem: "", turn: 0 };
}

export function isEmpty(filter: Filter): boolean {
  return Object.values(filter).every((value) => !value);
}

/** Returns the text that is searched for, in lower case. */
export function needleOf(filter: Filter): string {
  return filter.text.trim().toLowerCase();
}

interface RowBase {
  index: number;
  /** Position of the entry. */
  at: number;
  /** Place in pixels. */
  top: number;
  state: string | undefined;
  beginsState: boolean;
  turns: { turn: number; begins: boolean; ends: boolean }[];
}

export type LightEntry = Omit<Entry, "raw">;

export interface EntryRow extends RowBase {
  kind: "entry";
  entry: LightEntry;
  /** Time since the entry that is shown before. */
  since: number;
  worst: Severity | undefined;
  answered: { ms: number; isAnswer: boolean; with: number; kind: Link["kind"] } | undefined;
}

export interface NoteRow extends RowBase {
  kind: "note";
  problem: { kind: string; detail: string };
}

export interface FoldRow extends RowBase {
  kind: "fold";
  ms: number;
}

export type Row = EntryRow | NoteRow | FoldRow;

export interface Layout {
  rows: number;
  height: number;
  /** Number of entries that are shown. */
  shown: number;
  /** Number of entries that are kept. */
  entries: number;
  /** Position after the last entry. */
  end: number;
}

export interface Summary {
  tool: string;
  rules: Record<string, Rule>;
  sessions: { name: string; title: string; entries: number; errors: number }[];
}

export interface Choice {
  value: string;
  /** Text in its place. */
  shown?: string;
  number: number;
}

export interface ProblemGroup {
  kind: string;
  count: number;
  first: { at: number; id: string; t: number }[];
}

export interface Facets {
  name: string;
  title: string;
  recordedFrom: string;
  note: string;
  startedUnixMs: number | undefined;
  hasHost: boolean;
  noStates: string | undefined;
  entries: number;
  /** Number of older entries that are not kept. */
  dropped: number;
  turns: number;
  lastMs: number;
  chats: Choice[];
  keys: Choice[];
  types: Choice[];
  problems: ProblemGroup[];
  overview: {
    up: number[];
    down: number[];
    marks: number[];
    states: { from: number; state: string }[];
  };
}

export interface Details {
  at: number;
  entry: Entry;
  state: string | undefined;
  links: { kind: Link["kind"]; ms: number; at: number; id: string; name: string; isLater: boolean }[];
  turnEntries: number;
  problems: { kind: string; detail: string }[];
}

export const LANES: Lane[] = ["host", "gateway", "connector"];
