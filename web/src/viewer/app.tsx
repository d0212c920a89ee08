// The viewer: header, problems, filters, diagram, details.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Sessions } from "../shared/client";
import { Diagram } from "../shared/diagram";
import { useExplorer } from "../shared/explorer";
import { count, duration } from "../shared/format";
import { Logo } from "../shared/logo";
import type { Summary } from "../shared/rows";
import { ThemeButton } from "../shared/theme";
import { DetailPane } from "./detail-pane";
import { Filters } from "./filters";
import { Help } from "./help";
import { type LinkedState, readLink, writeLink } from "./link";
import { Overview } from "./overview";
import { HelpButton, SessionChoice, SkipLink } from "./parts";
import { Problems } from "./problems";

export function App({ sessions, summary }: { sessions: Sessions; summary: Summary }) {
  const [linked] = useState<LinkedState>(() => readLink());
  const first = Math.min(linked.session, summary.sessions.length - 1);
  const explorer = useExplorer({ sessions, session: first, filter: linked.filter });
  const { session, facets, filter, setFilter, filterOnly, layout, selected, details, diagram, search, show, close, toProblem, say } = explorer;
  const opened = useRef(false);

  useEffect(() => {
    if (facets) document.title = `${facets.title || facets.name} · relayline view`;
  }, [facets]);

  useEffect(() => {
    if (!layout || opened.current) return;
    opened.current = true;
    void (async () => {
      const at = linked.entry ? await sessions.byId(linked.entry) : undefined;
      if (at !== undefined) await show(at, true);
    })();
  }, [layout]);

  useEffect(() => {
    writeLink({ session, filter, entry: details?.entry.id });
  }, [session, filter, details]);

  if (!facets || !layout) return <p class="loading">Reading the session…</p>;
  return (
    <div class={details ? "app has-details" : "app"}>
      <SkipLink diagram={diagram} />
      <header class="top">
        <Logo />
        <div class="headline">
          <h1>{facets.title || facets.name}</h1>
          <p class="facts">
            <span>{facets.name}</span>
            <span>{count(facets.entries, "row")}</span>
            <span>{count(facets.turns, "turn")}</span>
            <span>{duration(facets.lastMs)}</span>
            {!facets.hasHost && <span>the wire alone</span>}
            {facets.recordedFrom && <span>from {facets.recordedFrom}</span>}
            {facets.startedUnixMs !== undefined && <span>{new Date(facets.startedUnixMs).toISOString().slice(0, 19)}Z</span>}
          </p>
          {facets.note && <p class="remark">{facets.note}</p>}
          {facets.noStates && <p class="remark">The states are not known: {facets.noStates}</p>}
        </div>
        <SessionChoice
          label="Session"
          names={summary.sessions.map((one) => `${one.name} (${count(one.errors, "error")})`)}
          chosen={session}
          onChoose={explorer.choose}
        />
        <div class="tools">
          <ThemeButton />
          <HelpButton onClick={() => explorer.setHelp(true)} />
        </div>
      </header>
      <Problems groups={facets.problems} rules={summary.rules} onShow={show} onNext={(group) => toProblem(true, group.kind, group.first[0]?.at)} />
      <Overview facets={facets} onPick={async (part) => {
        const at = await sessions.atTime(part);
        if (at !== undefined) await show(at, true);
      }} />
      <Filters
        facets={facets}
        rules={summary.rules}
        filter={filter}
        shown={layout.shown}
        search={search}
        onChange={setFilter}
      />
      <main class="body">
        <Diagram
          ref={diagram}
          sessions={sessions}
          rules={summary.rules}
          layout={layout}
          hasHost={facets.hasHost}
          selected={selected}
          filter={filter}
          joined={details?.links.map((link) => link.at) ?? []}
          onSelect={(at) => void show(at)}
          onTurn={(turn) => filterOnly({ turn })}
        />
        {details && (
          <DetailPane
            details={details}
            startedUnixMs={facets.startedUnixMs}
            rules={summary.rules}
            onClose={close}
            onShow={(at) => void show(at)}
            onFilter={filterOnly}
            say={say}
          />
        )}
      </main>
      {explorer.isHelp && <Help tool={summary.tool} onClose={() => explorer.setHelp(false)} />}
      <p class="visually-hidden" role="status">
        {explorer.said}
      </p>
    </div>
  );
}
