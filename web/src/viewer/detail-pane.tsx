// The details of a frame: rules in words, joined frames, and its JSON.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { clock, count, duration } from "../shared/format";
import { Json, pretty } from "../shared/json";
import type { Rule } from "../shared/model";
import type { Details, Filter } from "../shared/rows";
import { Sign } from "../shared/sign";

interface DetailPaneProps {
  details: Details;
  /** Start of the recording in Unix milliseconds. */
  startedUnixMs: number | undefined;
  rules: Record<string, Rule>;
  onClose: () => void;
  onShow: (at: number) => void;
  onFilter: (change: Partial<Filter>) => void;
  say: (text: string) => void;
  /** True if the page's address leads to a frame. */
  hasLinks?: boolean;
}

const RELATIONS: Record<string, [string, string]> = {
  result: ["answers", "is answered by"],
  ack: ["acknowledges", "is acknowledged by"],
  again: ["was delivered before", "is delivered again"],
  idle: ["confirms", "is confirmed by"],
  rest: ["begins in", "is completed by"],
  end: ["ends", "ends with"],
};

export function DetailPane({ details, startedUnixMs, rules, onClose, onShow, onFilter, say, hasLinks = true }: DetailPaneProps) {
  const { entry } = details;
  const [isRaw, setRaw] = useState(false);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (title.current) title.current.scrollTop = 0;
  }, [details.at]);
  const indented = useMemo(() => pretty(entry.raw), [entry.raw]);
  const text = isRaw || indented === undefined ? entry.raw : indented;
  const copy = async (what: string, name: string) => {
    await copyText(what);
    say(`${name} copied.`);
  };
  const facts: [string, string, (() => void)?][] = [
    ["time", `${clock(entry.t)} s`],
    ...(startedUnixMs === undefined ? [] : [["at", new Date(startedUnixMs + entry.t).toISOString()] as [string, string]]),
    ["line", entry.id],
    ["from, to", entry.from === entry.to ? entry.from : `${entry.from} → ${entry.to}`],
  ];
  if (details.state) facts.push(["state", details.state]);
  if (entry.dial) facts.push(["dial", String(entry.dial)]);
  if (entry.waited !== undefined) facts.push(["waited", duration(entry.waited)]);
  if (entry.took !== undefined) facts.push(["took", duration(entry.took)]);
  if (entry.platform) facts.push(["platform", entry.platform]);
  const { chat, session, turn } = entry;
  if (chat) facts.push(["chat", chat, () => onFilter({ chat })]);
  if (session) facts.push(["session", session, () => onFilter({ key: session })]);
  if (entry.buffer) facts.push(["buffer id", entry.buffer]);
  if (turn) facts.push(["turn", `${turn} (${count(details.turnEntries, "frame")})`, () => onFilter({ turn })]);
  return (
    <aside class="details" aria-label="Details">
      <header>
        <h2 ref={title}>
          {entry.type} {entry.op && <span class="op">{entry.op}</span>}
        </h2>
        {hasLinks && (
          <button type="button" class="quiet" onClick={() => void copy(location.href, "Link")}>
            Copy link
          </button>
        )}
        <button type="button" class="quiet" aria-label="Close the details" title="Close (Esc)" onClick={onClose}>
          ✕
        </button>
      </header>
      <div class="details-side">
      {details.problems.map((problem, at) => {
        const rule = rules[problem.kind];
        return (
          rule && (
            <section key={at} class={`rule is-${rule.severity}`}>
              <h3>
                <Sign severity={rule.severity} /> {rule.title} <span class="problem-rule">{rule.rule}</span>
              </h3>
              {problem.detail && <p>{problem.detail}</p>}
              <p>{rule.words}</p>
            </section>
          )
        );
      })}
      <dl class="facts-list">
        {facts.map(([name, value, act]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {act ? (
                <button type="button" class="as-link" onClick={act} title={`Show only this ${name}`}>
                  <bdi>{value}</bdi>
                </button>
              ) : (
                <bdi>{value}</bdi>
              )}
            </dd>
          </div>
        ))}
        {details.links.map((link) => (
          <div key={`${link.kind}${link.at}`}>
            <dt>{RELATIONS[link.kind]?.[link.isLater ? 1 : 0]}</dt>
            <dd>
              <button type="button" class="as-link" onClick={() => onShow(link.at)}>
                {link.name}, line {link.id}
              </button>{" "}
              <span class="soft">
                {duration(link.ms)} {link.isLater ? "later" : "before"}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      </div>
      <div class="json-head">
        <div role="group" aria-label="Form of the JSON" class="toggle">
          <button type="button" aria-pressed={!isRaw && indented !== undefined} disabled={indented === undefined} onClick={() => setRaw(false)}>
            Pretty
          </button>
          <button type="button" aria-pressed={isRaw || indented === undefined} onClick={() => setRaw(true)}>
            Raw
          </button>
        </div>
        <span class="soft">{count(entry.raw.length, "character")}</span>
        <button type="button" class="quiet" onClick={() => void copy(text, "JSON")}>
          Copy
        </button>
      </div>
      <Json key={details.at} text={text} isJson={indented !== undefined} />
    </aside>
  );
}

/** Copies a text. A page from a file may have no clipboard of its own. */
async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
