// Values of a session that is going on, as `cli/src/inspector/app.rs` and the live worker write them.

import type { Rule } from "./model";
import type { LinkState } from "./program";
import type { Summary } from "./rows";

/** State from which the page continues. */
export interface Snapshot {
  tool: string;
  kind: "gateway" | "connector";
  hides_text: boolean;
  started_unix_ms: number;
  rules: Record<string, Rule>;
  sessions: string[];
  dropped: number;
}

export interface QueueSize {
  used: number;
  limit: number | null;
}

/** Status of the program, once a second. Absent parts are those of a connector. */
export interface Status {
  /** Milliseconds since the start. */
  t: number;
  phase?: string;
  phase_for_ms?: number;
  next_dial_in_ms?: number | null;
  asleep?: boolean;
  queues?: Record<string, QueueSize>;
  counters: Record<string, number>;
  agent?: { kind: string; running: boolean; restarts: number; counters: Record<string, number> | null };
  queue?: null | {
    entries: QueueSize;
    bytes: QueueSize;
    waiting: number;
    out: number;
    dead_letters: number;
    agents: number;
    paused: boolean;
  };
  page: { lost: number; dropped: number; lagged: number; refused: number };
}

/** Traffic of the last seconds, by second. */
export interface Charts {
  up: number[];
  down: number[];
  median: (number | undefined)[];
  high: (number | undefined)[];
}

/** Message of the worker that answers no question. */
export type Notice =
  | { kind: "begun"; snapshot: Omit<Snapshot, "rules">; summary: Summary }
  | { kind: "changed"; summary?: Summary }
  | { kind: "status"; status: Status }
  | { kind: "link"; link: LinkState };
