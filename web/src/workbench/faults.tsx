// The faults that a connector and its network can have.

import type { Act } from "./app";

interface Fault {
  name: string;
  label: string;
  /** Effect, for a tooltip. */
  effect: string;
}

const MOMENTS: Fault[] = [
  { name: "drop", label: "Drop", effect: "Cuts the connection. The gateway dials again." },
  { name: "half_open", label: "Half-open", effect: "Loses the connection without an end: only the missing answers to pings tell." },
  { name: "expire", label: "Expire token", effect: "Closes with 4401 “expired”: the gateway mints a fresh token." },
  { name: "duplicate", label: "Duplicate", effect: "Delivers the last message once more, which the gateway must notice." },
];

const STATES: Fault[] = [
  { name: "slow", label: "Slow", effect: "Each result takes 3 s." },
  { name: "withhold_answers", label: "Withhold acks", effect: "Ops are carried out and not answered: ambiguous for the agent." },
  { name: "withhold_idle_ack", label: "Withhold idle acks", effect: "going_idle is not confirmed." },
  { name: "refuse_ops", label: "Refuse ops", effect: "Each op fails." },
  { name: "mute", label: "Mute", effect: "The connector accepts connections, answers pings, and says nothing." },
  { name: "revoke", label: "Revoke", effect: "The credentials are withdrawn: the gateway must stop for good." },
];

export function Faults({ on, act }: { on: string[]; act: Act }) {
  return (
    <div class="faults" role="toolbar" aria-label="Faults">
      <span class="soft lead">Faults</span>
      {MOMENTS.map(({ name, label, effect }) => (
        <button key={name} type="button" title={effect} onClick={() => void act({ do: "fault", name })}>
          {label}
        </button>
      ))}
      <span class="bar" aria-hidden="true" />
      {STATES.map(({ name, label, effect }) => {
        const isOn = on.includes(name);
        return (
          <button
            key={name}
            type="button"
            class="toggle"
            aria-pressed={isOn}
            title={effect}
            onClick={() => void act({ do: "fault", name, on: !isOn })}
          >
            <span class="switch" aria-hidden="true" />
            {label}
            {isOn && <b> on</b>}
          </button>
        );
      })}
    </div>
  );
}
