// Queues with their limits, and counters.

import { count, duration, size } from "../shared/format";
import type { QueueSize, Status } from "../shared/live";

/** Returns a name of the metrics page as words. */
function words(name: string): string {
  return name.replaceAll("_", " ");
}

/** Returns a size: bytes in a unit that fits, other numbers as they are. */
function sizeOf(name: string, value: number): string {
  return name.includes("bytes") ? size(value, 0) : value.toLocaleString("en");
}

export function StatsPane({ status, onClose }: { status: Status | undefined; onClose: () => void }) {
  const counters = Object.entries(status?.counters ?? {});
  const [set, zeros] = [counters.filter(([, value]) => value > 0), counters.filter(([, value]) => value === 0).length];
  const queues = Object.entries(status?.queues ?? {});
  const { agent, queue } = status ?? {};
  return (
    <aside class="details stats" aria-label="Queues and counters">
      <header>
        <h2>Queues and counters</h2>
        <button type="button" class="quiet" aria-label="Close the counters" title="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {agent && (
        <dl class="facts-list">
          <div>
            <dt>agent</dt>
            <dd>
              {agent.kind}, {agent.running ? "running" : "not running"}
              {agent.restarts > 0 && `, ${count(agent.restarts, "restart")}`}
            </dd>
          </div>
          {status?.phase && (
            <div>
              <dt>state</dt>
              <dd>
                {status.phase} for {duration(status.phase_for_ms ?? 0)}
              </dd>
            </div>
          )}
          {Object.entries(agent.counters ?? {}).map(([name, value]) => (
            <div key={name}>
              <dt>{words(name)}</dt>
              <dd>{value.toLocaleString("en")}</dd>
            </div>
          ))}
        </dl>
      )}
      {queue && (
        <>
          <h3>Durable queue{queue.paused ? ", paused" : ""}</h3>
          <dl class="sizes">
            <Size name="entries" size={queue.entries} />
            <Size name="bytes" size={queue.bytes} />
            <Size name="waiting" size={{ used: queue.waiting, limit: null }} />
            <Size name="with an agent" size={{ used: queue.out, limit: null }} />
            <Size name="dead letters" size={{ used: queue.dead_letters, limit: null }} />
          </dl>
        </>
      )}
      {queues.length > 0 && (
        <>
          <h3>Queues and tables</h3>
          <dl class="sizes">
            {queues.map(([name, size]) => (
              <Size key={name} name={name} size={size} />
            ))}
          </dl>
        </>
      )}
      <h3>Counters</h3>
      <dl class="sizes">
        {set.map(([name, value]) => (
          <Size key={name} name={name} size={{ used: value, limit: null }} />
        ))}
      </dl>
      {zeros > 0 && <p class="soft">{zeros === counters.length ? "All are 0." : `${count(zeros, "other")} are 0.`}</p>}
      <h3>This page</h3>
      <dl class="sizes">
        <Size name="events left out" size={{ used: status?.page.lost ?? 0, limit: null }} />
        <Size name="events dropped" size={{ used: status?.page.dropped ?? 0, limit: null }} />
        <Size name="slow pages begun again" size={{ used: status?.page.lagged ?? 0, limit: null }} />
        <Size name="pages refused" size={{ used: status?.page.refused ?? 0, limit: null }} />
      </dl>
    </aside>
  );
}

function Size({ name, size }: { name: string; size: QueueSize }) {
  const { used, limit } = size;
  return (
    <div class={used === 0 ? "is-zero" : ""}>
      <dt>{words(name)}</dt>
      <dd>
        {limit !== null && limit > 0 && (
          <meter value={Math.min(used, limit)} max={limit} high={limit * 0.8} aria-label={`${words(name)} of its limit`} />
        )}
        <span>
          {sizeOf(name, used)}
          {limit !== null && <small> / {sizeOf(name, limit)}</small>}
        </span>
      </dd>
    </div>
  );
}
