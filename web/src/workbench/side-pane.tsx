// The pane behind the chats: the gateway's state, the last frames, the agent's output.

import { useState } from "preact/hooks";
import { Json, pretty } from "../shared/json";
import { useEnd } from "./end";
import { type Frame, type Snapshot, platformName, timeOfDay } from "./model";

export function SidePane({ state }: { state: Snapshot }) {
  const { gateway, agent, stderr } = state;
  const [tab, setTab] = useState<"frames" | "output">("frames");
  const tabs = stderr ? (["frames", "output"] as const) : (["frames"] as const);
  const names = { frames: "Last frames", output: "Agent output" };
  return (
    <aside class="behind" aria-label="Gateway and agent">
      <dl class="facts">
        <dt>Gateway</dt>
        <dd>
          <bdi>{gateway.id || "any"}</bdi>, dial {gateway.dials}, since {timeOfDay(gateway.since, true)}
        </dd>
        <dt>Platforms</dt>
        <dd>{gateway.platforms.map(platformName).join(", ") || "–"}</dd>
        <dt>Requests</dt>
        <dd>
          {gateway.requests}
          {gateway.refused > 0 && <span class="bad">, {gateway.refused} refused</span>}
        </dd>
        <dt>Buffered</dt>
        <dd>{gateway.buffered}</dd>
        {agent && agent.watched.length > 0 && (
          <>
            <dt>Watched</dt>
            <dd>
              {agent.watched.map((path) => (
                <bdi key={path} class="path">
                  {path}
                </bdi>
              ))}
            </dd>
          </>
        )}
      </dl>
      <div class="tabs" role="tablist" aria-label="Behind the chats">
        {tabs.map((name) => (
          <button
            key={name}
            id={`tab-${name}`}
            type="button"
            role="tab"
            aria-selected={tab === name}
            aria-controls="behind-panel"
            onClick={() => setTab(name)}
          >
            {names[name]}
          </button>
        ))}
      </div>
      <div id="behind-panel" class="panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "frames" ? <Frames frames={state.frames} /> : <Output lines={stderr ?? []} />}
      </div>
    </aside>
  );
}

const ARROWS = { up: "←", down: "→", link: "•" };
const DIRECTIONS = { up: "from the gateway", down: "to the gateway", link: "connection" };

function Frames({ frames }: { frames: Frame[] }) {
  const [open, setOpen] = useState<number>();
  const { box, onScroll } = useEnd<HTMLOListElement>([frames]);
  if (frames.length === 0) return <p class="empty">No frame so far.</p>;
  return (
    <ol class="frames" ref={box} onScroll={onScroll} tabIndex={0} aria-label="Last frames">
      {frames.map((frame) => (
        <li key={frame.number} class={`is-${frame.direction}`}>
          <button
            type="button"
            class="frame"
            aria-expanded={frame.json ? open === frame.number : undefined}
            disabled={!frame.json}
            onClick={() => setOpen(open === frame.number ? undefined : frame.number)}
          >
            <span class="arrow" aria-hidden="true">
              {ARROWS[frame.direction]}
            </span>
            <span class="visually-hidden">{DIRECTIONS[frame.direction]}: </span>
            <span class="what">
              <b>{frame.type}</b> <bdi>{frame.gist}</bdi>
            </span>
            <time>{timeOfDay(frame.at, true)}</time>
          </button>
          {open === frame.number && <Json text={pretty(frame.json) ?? frame.json} isJson />}
        </li>
      ))}
    </ol>
  );
}

function Output({ lines }: { lines: string[] }) {
  const { box, onScroll } = useEnd<HTMLPreElement>([lines]);
  if (lines.length === 0) return <p class="empty">The agent has written nothing to stderr.</p>;
  return (
    <pre class="output" ref={box} onScroll={onScroll} tabIndex={0} aria-label="The agent's stderr">
      {lines.join("\n")}
    </pre>
  );
}
