// The inspector: the state of the program, charts, and the diagram of the session that goes on.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Diagram } from "../shared/diagram";
import { useExplorer } from "../shared/explorer";
import { count } from "../shared/format";
import { Logo } from "../shared/logo";
import { type LinkState, postAction } from "../shared/program";
import { ThemeButton } from "../shared/theme";
import { DetailPane } from "../viewer/detail-pane";
import { Filters } from "../viewer/filters";
import { Help } from "../viewer/help";
import { HelpButton, SessionChoice, SkipLink } from "../viewer/parts";
import { Problems } from "../viewer/problems";
import type { Live, LiveSessions } from "./inspector";
import { StatsPane } from "./stats-pane";
import { Strip } from "./strip";

export function App({ sessions, live, link }: { sessions: LiveSessions; live: Live; link: LinkState }) {
  const { snapshot, summary, status, rowsVersion, facetsVersion } = live;
  const [hidesText, setHidesText] = useState(false);
  const [isPaused, setPaused] = useState(false);
  const [hasStats, setStats] = useState(false);
  const [sticks, setSticks] = useState(true);
  /** Position after the last entry when the page left the end. */
  const left = useRef(0);
  const [shownVersion, setShownVersion] = useState(0);
  const explorer = useExplorer({
    sessions,
    session: 0,
    filter: {},
    rowsVersion: rowsVersion + shownVersion,
    facetsVersion: facetsVersion + shownVersion,
  });
  const { session, facets, filter, setFilter, filterOnly, layout, selected, details, diagram, search, toProblem, say } = explorer;
  const name = summary.sessions[session]?.name || "no gateway yet";

  useEffect(() => {
    document.title = `${name} · relayline inspector`;
  }, [name]);

  const onStick = useCallback(
    (now: boolean) => {
      // A frame that is looked at may be the last one: only the button leads away from it.
      if (now && details) return;
      if (!now) left.current = layout?.end ?? 0;
      setSticks(now);
    },
    [layout, details],
  );
  const show = async (at: number, isFar = false) => {
    // What is looked at must not scroll away.
    if (sticks) onStick(false);
    setStats(false);
    await explorer.show(at, isFar);
  };
  // A key that opens details looks at a frame, too.
  useEffect(() => {
    if (details && sticks) onStick(false);
    if (details) setStats(false);
  }, [details?.at]);

  const pause = async () => {
    if (isPaused) await sessions.resume();
    else await sessions.pause();
    setPaused(!isPaused);
    say(isPaused ? "Resumed." : "Paused.");
  };
  const hide = async () => {
    await sessions.hideText(!hidesText);
    setHidesText(!hidesText);
    setShownVersion(shownVersion + 1);
    if (details) explorer.setDetails(await sessions.details(details.at));
    say(hidesText ? "Texts are shown." : "Texts are hidden on this page.");
  };
  const clear = async () => {
    const problem = await postAction({ do: "clear" });
    if (problem) return say(problem);
    explorer.deselect();
    setSticks(true);
    say("Cleared.");
  };

  if (!facets || !layout) return <p class="loading">Connecting to the program…</p>;
  const isOpen = details !== undefined || hasStats;
  const fresh = Math.max(0, layout.end - left.current);
  return (
    <div class={isOpen ? "app is-live has-details" : "app is-live"}>
      <SkipLink diagram={diagram} />
      <header class="top">
        <Logo />
        <div class="headline">
          <h1>
            {snapshot.kind === "connector" ? "Connector" : "Gateway"} <bdi class="name">{name}</bdi>
          </h1>
          <p class="facts">
            <span class={`link is-${isPaused ? "paused" : link}`}>
              {isPaused ? "paused" : link === "open" ? "live" : link === "connecting" ? "connection lost, trying again" : "ended"}
            </span>
            <span>{count(facets.entries, "row")}</span>
            {facets.dropped > 0 && (
              <span title="The program and this page keep the newest frames only.">
                {count(facets.dropped, "older row")} dropped
              </span>
            )}
            {(status?.page.lost ?? 0) > 0 && (
              <span class="lost" title="They passed faster than they could be described.">
                {count(status?.page.lost ?? 0, "event")} left out
              </span>
            )}
            {snapshot.hides_text && <span>texts and ids are replaced by the program</span>}
            <span>{snapshot.tool}</span>
          </p>
        </div>
        <SessionChoice
          label="Gateway"
          names={summary.sessions.map((one) => one.name)}
          chosen={session}
          onChoose={(at) => {
            setSticks(true);
            explorer.choose(at);
          }}
        />
        <div class="tools">
          <button type="button" aria-pressed={isPaused} onClick={() => void pause()} disabled={link === "lost"}>
            {isPaused ? "Resume" : "Pause"}
          </button>
          <button type="button" aria-pressed={hidesText} onClick={() => void hide()}>
            Hide texts
          </button>
          <button type="button" onClick={() => void clear()}>
            Clear
          </button>
          <a class="button" href={`files/recording-${session}.jsonl`} download title="Save what the program keeps as a recording, for relayline view and replay">
            Save
          </a>
          <button
            type="button"
            aria-pressed={hasStats}
            onClick={() => {
              explorer.setDetails(undefined);
              setStats(!hasStats);
            }}
          >
            Counters
          </button>
          <ThemeButton />
          <HelpButton onClick={() => explorer.setHelp(true)} />
        </div>
      </header>
      <Strip sessions={sessions} status={status} session={session} />
      {facets.problems.length > 0 && (
        <Problems
          groups={facets.problems}
          rules={summary.rules}
          onShow={(at, isFar) => void show(at, isFar)}
          onNext={(group) => toProblem(true, group.kind, group.first[0]?.at)}
        />
      )}
      <Filters
        facets={facets}
        rules={summary.rules}
        filter={filter}
        shown={layout.shown}
        search={search}
        onChange={setFilter}
      />
      <main class="body">
        <div class="diagram-box">
          <Diagram
            ref={diagram}
            sessions={sessions}
            rules={summary.rules}
            layout={layout}
            hasHost={false}
            selected={selected}
            filter={filter}
            joined={details?.links.map((one) => one.at) ?? []}
            onSelect={(at) => void show(at)}
            onTurn={(turn) => filterOnly({ turn })}
            live={{ sticks, onStick }}
          />
          {!sticks && (
            <button type="button" class="to-end" onClick={() => setSticks(true)}>
              {fresh > 0 ? `${fresh.toLocaleString("en")} new` : "To the end"} ↓
            </button>
          )}
        </div>
        {details && !hasStats && (
          <DetailPane
            details={details}
            startedUnixMs={facets.startedUnixMs}
            rules={summary.rules}
            onClose={explorer.close}
            onShow={(at) => void show(at)}
            onFilter={filterOnly}
            say={say}
            hasLinks={false}
          />
        )}
        {hasStats && <StatsPane status={status} onClose={() => setStats(false)} />}
      </main>
      {explorer.isHelp && <Help tool={summary.tool} onClose={() => explorer.setHelp(false)} />}
      <p class="visually-hidden" role="status">
        {explorer.said}
      </p>
    </div>
  );
}
