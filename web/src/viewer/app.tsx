// The viewer: header, problems, filters, diagram, details.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sessions } from "../shared/client";
import { Diagram, type DiagramHandle } from "../shared/diagram";
import { count, duration } from "../shared/format";
import type { Details, Facets, Filter, Layout, Summary } from "../shared/rows";
import { emptyFilter, isEmpty } from "../shared/rows";
import { ThemeButton } from "../shared/theme";
import { DetailPane } from "./detail-pane";
import { Filters } from "./filters";
import { Help } from "./help";
import { type LinkedState, readLink, writeLink } from "./link";
import { Overview } from "./overview";
import { Problems } from "./problems";

export function App({ sessions, summary }: { sessions: Sessions; summary: Summary }) {
  const [linked] = useState<LinkedState>(() => readLink());
  const [session, setSession] = useState(Math.min(linked.session, summary.sessions.length - 1));
  const [facets, setFacets] = useState<Facets>();
  const [filter, setFilter] = useState<Filter>({ ...emptyFilter(), ...linked.filter });
  const [layout, setLayout] = useState<Layout & { version: number }>();
  const [selected, setSelected] = useState<number>();
  const [details, setDetails] = useState<Details>();
  const [isHelp, setHelp] = useState(false);
  const [said, say] = useState("");
  const diagram = useRef<DiagramHandle>(null);
  const search = useRef<HTMLInputElement>(null);
  const opened = useRef(false);
  /** Selected entry, also between two renderings: keys may be faster than they are. */
  const cursor = useRef<number | undefined>(undefined);
  /** Steps of keys, one after the other. */
  const steps = useRef(Promise.resolve());

  useEffect(() => {
    let isCurrent = true;
    void (async () => {
      const found = await sessions.open(session);
      if (!isCurrent) return;
      setFacets(found);
      document.title = `${found.title || found.name} · relayline view`;
    })();
    return () => {
      isCurrent = false;
    };
  }, [session]);

  useEffect(() => {
    if (!facets) return;
    let isCurrent = true;
    void (async () => {
      const found = await sessions.layout(filter);
      if (!isCurrent) return;
      setLayout((before) => ({ ...found, version: (before?.version ?? 0) + 1 }));
      if (!opened.current) {
        opened.current = true;
        const at = linked.entry ? await sessions.byId(linked.entry) : undefined;
        if (at !== undefined) await show(at, true);
      }
    })();
    return () => {
      isCurrent = false;
    };
  }, [facets, filter]);

  useEffect(() => {
    writeLink({ session, filter, entry: details?.entry.id });
  }, [session, filter, details]);

  /** Selects an entry, with its details, and scrolls to it. A filter that hides it is lifted. */
  const show = useCallback(async (at: number, isFar = false) => {
    if (!(await sessions.place(at))) {
      setFilter(emptyFilter());
      const found = await sessions.layout(emptyFilter());
      setLayout((before) => ({ ...found, version: (before?.version ?? 0) + 1 }));
    }
    cursor.current = at;
    setSelected(at);
    setDetails(await sessions.details(at));
    await diagram.current?.reveal(at, isFar);
  }, []);

  const close = useCallback(() => {
    setDetails(undefined);
    diagram.current?.focus();
  }, []);

  /** Does something after all that keys asked for before. */
  const inOrder = useCallback((act: () => Promise<void>) => {
    steps.current = steps.current.then(act).catch((error: unknown) => say(String(error)));
  }, []);

  const toProblem = useCallback(
    (forward: boolean, kind?: string, hidden?: number) =>
      inOrder(async () => {
        const at = (await sessions.nextProblem(cursor.current, forward, kind)) ?? hidden;
        if (at === undefined) say("No problem is shown.");
        else await show(at, true);
      }),
    [],
  );

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const isTyping = target.matches("input, select, textarea");
      if (event.key === "Escape") {
        if (isHelp) setHelp(false);
        else if (isTyping) target.blur();
        else if (details) close();
        return;
      }
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = keyActions[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    const move = (by: number) =>
      inOrder(async () => {
        const at = await sessions.step(cursor.current, by);
        if (at === undefined) return;
        cursor.current = at;
        setSelected(at);
        if (details) setDetails(await sessions.details(at));
        await diagram.current?.reveal(at, false);
      });
    const jump = (later: boolean) =>
      inOrder(async () => {
        const found = cursor.current === undefined ? undefined : await sessions.details(cursor.current);
        const link = found?.links.find((one) => one.isLater === later);
        if (link) await show(link.at);
        else say("This frame is joined to no other.");
      });
    const keyActions: Record<string, () => void> = {
      "/": () => search.current?.focus(),
      "?": () => setHelp((shown) => !shown),
      j: () => move(1),
      ArrowDown: () => move(1),
      k: () => move(-1),
      ArrowUp: () => move(-1),
      PageDown: () => move(15),
      PageUp: () => move(-15),
      Home: () => move(-1e9),
      End: () => move(1e9),
      Enter: () => inOrder(async () => {
        if (cursor.current !== undefined) await show(cursor.current);
      }),
      n: () => toProblem(true),
      p: () => toProblem(false),
      "]": () => jump(true),
      "[": () => jump(false),
      x: () => setFilter(emptyFilter()),
    };
    // The browser's own use of Enter, on buttons and links, stays.
    const guarded = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key === "Enter" && target.matches("button, a, summary")) return;
      onKey(event);
    };
    document.addEventListener("keydown", guarded);
    return () => document.removeEventListener("keydown", guarded);
  }, [details, isHelp]);

  const errors = useMemo(
    () => facets?.problems.filter((group) => summary.rules[group.kind]?.severity === "error") ?? [],
    [facets],
  );

  if (!facets || !layout) return <p class="loading">Reading the session…</p>;
  return (
    <div class={details ? "app has-details" : "app"}>
      <a class="skip" href="#diagram" onClick={(event) => (event.preventDefault(), diagram.current?.focus())}>
        Skip to the diagram
      </a>
      <header class="top">
        <div class="brand" aria-hidden="true">
          <svg viewBox="0 0 24 24" width="22" height="22">
            <path d="M5 3v18M19 3v18" />
            <path d="M5 8h12m-3-3 3 3-3 3M19 16H7m3-3-3 3 3 3" />
          </svg>
        </div>
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
        {summary.sessions.length > 1 && (
          <label class="choice">
            <span>Session</span>
            <select
              value={session}
              onChange={(event) => {
                setDetails(undefined);
                setSelected(undefined);
                cursor.current = undefined;
                setFilter(emptyFilter());
                setSession(Number(event.currentTarget.value));
              }}
            >
              {summary.sessions.map((one, at) => (
                <option key={at} value={at}>
                  {one.name} ({count(one.errors, "error")})
                </option>
              ))}
            </select>
          </label>
        )}
        <div class="tools">
          <ThemeButton />
          <button type="button" class="quiet" aria-label="Keyboard help" title="Keyboard help (?)" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <Problems groups={facets.problems} rules={summary.rules} onShow={show} onNext={(group) => toProblem(true, group.kind, group.first[0]?.at)} />
      <Overview facets={facets} hasErrors={errors.length > 0} onPick={async (part) => {
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
        isFiltered={!isEmpty(filter)}
      />
      <main class="body">
        <Diagram
          ref={diagram}
          sessions={sessions}
          rules={summary.rules}
          layout={layout}
          hasHost={facets.hasHost}
          selected={selected}
          needle={filter.text.trim().toLowerCase()}
          joined={details?.links.map((link) => link.at) ?? []}
          onSelect={(at) => void show(at)}
          onTurn={(turn) => setFilter({ ...emptyFilter(), turn })}
        />
        {details && (
          <DetailPane
            details={details}
            startedUnixMs={facets.startedUnixMs}
            rules={summary.rules}
            onClose={close}
            onShow={(at) => void show(at)}
            onFilter={(change) => setFilter({ ...emptyFilter(), ...change })}
            say={say}
          />
        )}
      </main>
      {isHelp && <Help tool={summary.tool} onClose={() => setHelp(false)} />}
      <p class="visually-hidden" role="status">
        {said}
      </p>
    </div>
  );
}
