// State of a page with a diagram: the session, its filter and rows, the selected frame, the keys. The viewer and the inspector
// share it.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Sessions } from "./client";
import type { DiagramHandle } from "./diagram";
import type { Details, Facets, Filter, Layout } from "./rows";
import { emptyFilter } from "./rows";

export interface ExplorerOptions {
  sessions: Sessions;
  /** Session and filter at the start. */
  session: number;
  filter: Partial<Filter>;
  /** Grows when the rows have changed. */
  rowsVersion?: number;
  /** Grows when the session itself has changed. */
  facetsVersion?: number;
}

export function useExplorer({ sessions, session: first, filter: start, rowsVersion = 0, facetsVersion = 0 }: ExplorerOptions) {
  const [session, setSession] = useState(first);
  const [facets, setFacets] = useState<Facets>();
  const [filter, setFilter] = useState<Filter>({ ...emptyFilter(), ...start });
  const [layout, setLayout] = useState<Layout & { version: number }>();
  const [selected, setSelected] = useState<number>();
  const [details, setDetails] = useState<Details>();
  const [isHelp, setHelp] = useState(false);
  const [said, say] = useState("");
  const diagram = useRef<DiagramHandle>(null);
  const search = useRef<HTMLInputElement>(null);
  /** Selected entry, also between two renderings: keys may be faster than they are. */
  const cursor = useRef<number | undefined>(undefined);
  /** Steps of keys, one after the other. */
  const steps = useRef(Promise.resolve());

  useEffect(() => {
    let isCurrent = true;
    void (async () => {
      const found = await sessions.open(session);
      if (isCurrent) setFacets(found);
    })();
    return () => {
      isCurrent = false;
    };
  }, [session, facetsVersion]);

  const isOpen = facets !== undefined;
  useEffect(() => {
    if (!isOpen) return;
    let isCurrent = true;
    void (async () => {
      // It comes after the question that opens the session.
      const found = await sessions.layout(filter);
      if (isCurrent) setLayout((before) => ({ ...found, version: (before?.version ?? 0) + 1 }));
    })();
    return () => {
      isCurrent = false;
    };
  }, [isOpen, session, filter, rowsVersion]);

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
    // The details may have taken a part of the diagram's height.
    requestAnimationFrame(() => void diagram.current?.reveal(at, false));
  }, []);

  const close = useCallback(() => {
    setDetails(undefined);
    diagram.current?.focus();
  }, []);

  /** Selects no entry. */
  const deselect = useCallback(() => {
    setDetails(undefined);
    setSelected(undefined);
    cursor.current = undefined;
  }, []);

  /** Shows only the entries that meet some conditions. */
  const filterOnly = useCallback((change: Partial<Filter>) => setFilter({ ...emptyFilter(), ...change }), []);

  /** Opens another session. */
  const choose = useCallback((at: number) => {
    deselect();
    setFilter(emptyFilter());
    setSession(at);
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

  return {
    session,
    choose,
    facets,
    filter,
    setFilter,
    filterOnly,
    layout,
    selected,
    details,
    setDetails,
    isHelp,
    setHelp,
    said,
    say,
    diagram,
    search,
    show,
    close,
    deselect,
    toProblem,
  };
}
