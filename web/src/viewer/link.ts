// The state of the page in its address, so that a link leads to a frame.

import type { Filter } from "../shared/rows";
import { emptyFilter } from "../shared/rows";

export interface LinkedState {
  session: number;
  entry?: string | undefined;
  filter: Partial<Filter>;
}

const NAMES = ["text", "chat", "key", "type", "direction", "problem"] as const;

export function readLink(): LinkedState {
  const values = new URLSearchParams(location.hash.slice(1));
  const filter: Partial<Filter> = {};
  for (const name of NAMES) {
    const value = values.get(name);
    if (value) filter[name] = value;
  }
  const turn = Number(values.get("turn"));
  if (turn > 0) filter.turn = turn;
  return { session: Math.max(0, (Number(values.get("session")) || 1) - 1), entry: values.get("at") ?? undefined, filter };
}

export function hashOf({ session, entry, filter }: LinkedState): string {
  const values = new URLSearchParams();
  if (session > 0) values.set("session", String(session + 1));
  const whole = { ...emptyFilter(), ...filter };
  for (const name of NAMES) if (whole[name]) values.set(name, whole[name]);
  if (whole.turn) values.set("turn", String(whole.turn));
  if (entry) values.set("at", entry);
  return values.toString();
}

export function writeLink(state: LinkedState): void {
  const hash = hashOf(state);
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}
