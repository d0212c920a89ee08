// The state of the connection, the figures that matter, and charts of the last two minutes.

import { useEffect, useState } from "preact/hooks";
import { duration } from "../shared/format";
import type { Charts, Status } from "../shared/live";
import { LatencyChart, TrafficChart } from "./charts";
import type { LiveSessions } from "./inspector";

interface StripProps {
  sessions: LiveSessions;
  status: Status | undefined;
  session: number;
}

/** Queues that show at a glance whether the program keeps up. */
const FIGURES: [string, string][] = [
  ["requests", "in flight"],
  ["host_queue", "waiting for the host"],
  ["unsettled_deliveries", "unsettled"],
  ["turns", "turns"],
];

export function Strip({ sessions, status, session }: StripProps) {
  const [charts, setCharts] = useState<Charts>();
  useEffect(() => {
    if (!status) return;
    let isCurrent = true;
    void sessions.charts(status.t).then((found) => isCurrent && setCharts(found));
    return () => {
      isCurrent = false;
    };
  }, [status, session]);
  const { phase, phase_for_ms: since, next_dial_in_ms: next } = status ?? {};
  return (
    <section class="strip" aria-label="State">
      {phase && (
        <div class="tile is-state">
          <span class="phase" style={{ background: `var(--state-${phase}, var(--soft))` }} aria-hidden="true" />
          <b>{status?.asleep ? "asleep" : phase}</b>
          <small>
            {next !== null && next !== undefined ? `dials in ${duration(next)}` : `for ${duration(rounded(since ?? 0))}`}
          </small>
        </div>
      )}
      {status?.queues && (
        <dl class="tile figures">
          {FIGURES.map(([name, label]) => (
            <div key={name}>
              <dd>{(status.queues?.[name]?.used ?? 0).toLocaleString("en")}</dd>
              <dt>{label}</dt>
            </div>
          ))}
          {status.queue && (
            <div>
              <dd>{status.queue.waiting.toLocaleString("en")}</dd>
              <dt>in the durable queue</dt>
            </div>
          )}
        </dl>
      )}
      <TrafficChart charts={charts} />
      <LatencyChart charts={charts} />
    </section>
  );
}

/** Returns a time without the part that changes too fast to be read. */
function rounded(ms: number): number {
  return ms < 1000 ? ms : Math.floor(ms / 1000) * 1000;
}
