// Values of a view, as `harness/src/view/model.rs` writes them.

export type Lane = "host" | "gateway" | "connector";
export type Severity = "error" | "warning" | "note";

export interface Entry {
  id: string;
  t: number;
  kind: "frame" | "part" | "dial" | "reject" | "close" | "cut" | "call" | "event" | "timer" | "note" | "gap" | "other";
  from: Lane;
  to: Lane;
  dial?: number;
  type: string;
  op?: string;
  gist?: string;
  chat?: string;
  platform?: string;
  session?: string;
  buffer?: string;
  turn?: number;
  took?: number;
  waited?: number;
  raw: string;
}

export interface Link {
  from: number;
  to: number;
  kind: "result" | "ack" | "again" | "idle" | "rest" | "end";
  ms: number;
}

export interface StateSpan {
  at: number;
  t: number;
  state: string;
}

export interface TurnSpan {
  first: number;
  last: number;
  entries: number;
}

export interface Problem {
  at: number;
  kind: string;
  detail?: string;
}

export interface Rule {
  order: number;
  rule: string;
  severity: Severity;
  title: string;
  words: string;
}

export interface Session {
  name: string;
  title: string;
  recorded_from: string;
  note: string;
  started_unix_ms?: number;
  has_host: boolean;
  no_states?: string;
  entries: Entry[];
  links: Link[];
  states: StateSpan[];
  turns: TurnSpan[];
  problems: Problem[];
}

export interface PageData {
  tool: string;
  rules: Record<string, Rule>;
  sessions: Session[];
}
