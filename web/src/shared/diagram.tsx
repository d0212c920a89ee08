// The diagram: only the rows in sight are elements, and the worker provides them.

import { type Ref } from "preact";
import { forwardRef, memo } from "preact/compat";
import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Sessions } from "./client";
import { clock, duration } from "./format";
import type { Lane, Rule } from "./model";
import { type EntryRow, type Filter, type Layout, type Row, isEmpty, needleOf } from "./rows";
import { Sign } from "./sign";

export interface DiagramHandle {
  /** Scrolls an entry into sight, to the middle if it is far. */
  reveal(at: number, isFar: boolean): Promise<void>;
  focus(): void;
}

interface DiagramProps {
  sessions: Sessions;
  rules: Record<string, Rule>;
  layout: Layout & { version: number };
  hasHost: boolean;
  selected: number | undefined;
  joined: number[];
  filter: Filter;
  onSelect: (at: number) => void;
  onTurn: (turn: number) => void;
  /** Set for a session that is going on. */
  live?: { sticks: boolean; onStick: (sticks: boolean) => void };
}

/** Distance from the end, in pixels, at which the diagram follows it. */
const NEAR = 24;

/** Pixels beyond the visible ones for which rows are elements. */
const BEYOND = 400;
/** Greatest height of an element that browsers draw well. A longer session is scrolled in proportion. */
const MOST_HEIGHT = 8_000_000;

export const Diagram = forwardRef(function Diagram(props: DiagramProps, ref: Ref<DiagramHandle>) {
  const { sessions, rules, layout, hasHost, selected, joined, filter, onSelect, onTurn, live } = props;
  const box = useRef<HTMLDivElement>(null);
  const [rows, setRows] = useState<Row[]>([]);
  const asked = useRef(0);
  const isWaiting = useRef(false);
  const needle = needleOf(filter);

  const height = Math.min(layout.height, MOST_HEIGHT);
  /** Place in the session of the top of the box. */
  const virtualTop = () => {
    const element = box.current;
    if (!element || layout.height <= MOST_HEIGHT) return element?.scrollTop ?? 0;
    const range = Math.max(1, height - element.clientHeight);
    return (element.scrollTop / range) * (layout.height - element.clientHeight);
  };

  const load = useCallback(async () => {
    const element = box.current;
    if (!element) return;
    asked.current += 1;
    const mine = asked.current;
    const top = virtualTop();
    const found = await sessions.rows(top - BEYOND, top + element.clientHeight + BEYOND);
    if (mine === asked.current) setRows(found);
  }, [layout.version]);

  /** Place of the first row in sight, which stays where it is while rows come and go. */
  const anchor = useRef<{ at: number; offset: number } | undefined>(undefined);
  /** The newest value, also for callbacks that were made before. */
  const newest = useRef(live);
  newest.current = live;
  const follow = async () => {
    const element = box.current;
    if (!element || !newest.current) return;
    if (newest.current.sticks) element.scrollTop = element.scrollHeight;
    else if (anchor.current && layout.height <= MOST_HEIGHT) {
      const { at, offset } = anchor.current;
      const place = await sessions.place(at);
      if (place && Math.abs(place.top - offset - element.scrollTop) > 1) element.scrollTop = place.top - offset;
    }
  };
  useLayoutEffect(() => {
    void follow().then(load);
  }, [load, live?.sticks]);
  const keepAnchor = () => {
    const element = box.current;
    if (!element || !live) return;
    const first = rows.find((row) => row.kind === "entry" && row.top >= element.scrollTop);
    if (first) anchor.current = { at: first.at, offset: first.top - element.scrollTop };
  };
  useEffect(keepAnchor, [rows]);

  useEffect(() => {
    const observer = new ResizeObserver(() => void follow().then(load));
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, [load]);

  useImperativeHandle(ref, () => ({
    async reveal(at, isFar) {
      const place = await sessions.place(at);
      const element = box.current;
      if (!place || !element) return;
      const top = virtualTop();
      const margin = isFar ? element.clientHeight / 3 : 60;
      let target: number | undefined;
      if (isFar || place.top < top + margin) target = place.top - margin;
      else if (place.top > top + element.clientHeight - 140) target = place.top - element.clientHeight + 140;
      if (target !== undefined && (target > top || place.top < top + margin || isFar)) {
        const scale = layout.height <= MOST_HEIGHT ? 1 : (height - element.clientHeight) / (layout.height - element.clientHeight);
        element.scrollTop = target * scale;
      }
      // It stays in sight if the height changes.
      anchor.current = { at, offset: place.top - element.scrollTop };
      await load();
    },
    focus: () => box.current?.focus(),
  }));

  const lastTop = useRef(0);
  const onScroll = () => {
    const element = box.current;
    if (element && live) {
      const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight <= NEAR;
      // Rows that come do not scroll: only a person leaves the end.
      if (live.sticks && !isAtEnd && element.scrollTop < lastTop.current - 1) live.onStick(false);
      else if (!live.sticks && isAtEnd) live.onStick(true);
      lastTop.current = element.scrollTop;
      keepAnchor();
    }
    if (isWaiting.current) return;
    isWaiting.current = true;
    requestAnimationFrame(() => {
      isWaiting.current = false;
      void load();
    });
  };

  const shift = layout.height <= MOST_HEIGHT ? 0 : (box.current?.scrollTop ?? 0) - virtualTop();
  return (
    <div class={hasHost ? "diagram" : "diagram no-host"}>
      <div class="lane-heads" aria-hidden="true">
        <span class="head-time">time</span>
        <span class="head-state">state</span>
        <div class="lanes">
          {hasHost && <span class="lane-name at-host">host</span>}
          <span class="lane-name at-gateway">gateway</span>
          <span class="lane-name at-connector">connector</span>
        </div>
        <span class="head-meta">joined</span>
      </div>
      <div
        ref={box}
        id="diagram"
        class="scroller"
        role="grid"
        aria-label="Frames"
        aria-rowcount={layout.rows}
        aria-colcount={1}
        aria-activedescendant={selected === undefined ? undefined : `row-${selected}`}
        tabIndex={0}
        onScroll={onScroll}
      >
        <div class="canvas" role="rowgroup" style={{ height: `${height}px` }}>
          {rows.map((row, at) => (
            <RowView
              key={row.index}
              row={row}
              top={row.top + shift}
              rules={rules}
              isSelected={row.kind === "entry" && row.at === selected}
              isJoined={row.kind === "entry" && joined.includes(row.at)}
              needle={needle}
              showsState={at === 0 || (row.kind === "entry" && row.beginsState)}
              onSelect={onSelect}
              onTurn={onTurn}
            />
          ))}
          {layout.rows === 0 && (
            <div role="row">
              <p class="nothing" role="gridcell">
                {live && isEmpty(filter) ? "Nothing has passed yet." : "No frame fits the filters."}
              </p>
            </div>
          )}
        </div>
      </div>
    </div>
  );
});

interface RowViewProps {
  row: Row;
  top: number;
  rules: Record<string, Rule>;
  isSelected: boolean;
  isJoined: boolean;
  needle: string;
  showsState: boolean;
  onSelect: (at: number) => void;
  onTurn: (turn: number) => void;
}

const RowView = memo(function RowView({ row, top, rules, isSelected, isJoined, needle, showsState, onSelect, onTurn }: RowViewProps) {
  const style = { transform: `translateY(${top}px)` };
  const state = <span class={`state is-${row.state ?? "unknown"}`}>{showsState && row.state}</span>;
  const turns = (
    <span class="turns" aria-hidden="true">
      {row.turns.map((turn, at) => (
        <i
          key={at}
          class={turn.turn ? `turn${turn.begins ? " begins" : ""}${turn.ends ? " ends" : ""}` : ""}
          title={turn.turn ? `turn ${turn.turn}: show only it` : undefined}
          onClick={(event) => {
            event.stopPropagation();
            if (turn.turn) onTurn(turn.turn);
          }}
        />
      ))}
    </span>
  );
  if (row.kind === "fold") {
    return (
      <div class="row is-fold" role="row" aria-rowindex={row.index + 1} style={style}>
        <span class="time" />
        {state}
        <span class="lanes" role="gridcell">
          <span class="fold-text">{duration(row.ms)} without a frame</span>
        </span>
        <span class="meta" />
        {turns}
      </div>
    );
  }
  if (row.kind === "note") {
    const rule = rules[row.problem.kind];
    if (!rule) return null;
    return (
      <div class={`row kind-problem is-${rule.severity}`} role="row" aria-rowindex={row.index + 1} style={style} onClick={() => onSelect(row.at)}>
        <span class="time" />
        {state}
        <span class="lanes" role="gridcell">
          <span class="note-box">
            <span class="note-title">
              <Sign severity={rule.severity} />
              <strong>{rule.title}</strong>
              <span class="problem-rule">{rule.rule}</span>
              <span class="note-detail">{row.problem.detail}</span>
            </span>
            <span class="note-words">{rule.words}</span>
          </span>
        </span>
        <span class="meta" />
        {turns}
      </div>
    );
  }
  return <EntryView row={row} style={style} state={state} turns={turns} isSelected={isSelected} isJoined={isJoined} needle={needle} onSelect={onSelect} />;
});

interface EntryViewProps {
  row: EntryRow;
  style: { transform: string };
  state: preact.JSX.Element;
  turns: preact.JSX.Element;
  isSelected: boolean;
  isJoined: boolean;
  needle: string;
  onSelect: (at: number) => void;
}

/** Frames that answer another: their arrows are dashed. */
const ANSWERS = new Set(["outbound_result", "inbound_ack", "going_idle_ack", "descriptor"]);

function EntryView({ row, style, state, turns, isSelected, isJoined, needle, onSelect }: EntryViewProps) {
  const { entry, answered } = row;
  const arrow = entry.from === entry.to ? `is-point` : `from-${entry.from} to-${entry.to}`;
  const look = [
    "row",
    `kind-${entry.kind}`,
    isSelected && "is-selected",
    isJoined && "is-joined",
    ANSWERS.has(entry.type) && "is-answer",
    row.worst && `has-${row.worst}`,
  ];
  return (
    <div
      id={`row-${row.at}`}
      class={look.filter(Boolean).join(" ")}
      role="row"
      aria-rowindex={row.index + 1}
      aria-selected={isSelected}
      aria-label={spoken(row)}
      style={style}
      onClick={() => onSelect(row.at)}
    >
      <span class="time">
        <b>{clock(entry.t)}</b>
        {row.since > 0 && <small>+{duration(row.since)}</small>}
      </span>
      {state}
      <span class="lanes" role="gridcell">
        <span class={`arrow ${arrow}`}>
          <span class="label">
            {row.worst && <Sign severity={row.worst} />}
            <b>{entry.type}</b>
            {entry.op && <em>{entry.op}</em>}
            {entry.gist && <bdi>{marked(entry.gist, needle)}</bdi>}
          </span>
        </span>
      </span>
      <span class="meta">
        {entry.buffer && entry.type !== "inbound_ack" && <span class="tag">buffered</span>}
        {entry.took !== undefined && <span class="soft">{duration(entry.took)}</span>}
        {answered && (
          <span class="soft" title={answered.isAnswer ? "after its request" : "until its answer"}>
            {answered.isAnswer ? "↩ " : "⇢ "}
            {duration(answered.ms)}
          </span>
        )}
      </span>
      {turns}
    </div>
  );
}

/** Returns a text with the place that was searched for. */
function marked(text: string, needle: string) {
  const at = needle ? text.toLowerCase().indexOf(needle) : -1;
  // Lower case can have another length, so the place is only sure where it has the same.
  if (at < 0 || text.toLowerCase().length !== text.length) return text;
  const end = at + needle.length;
  return [text.slice(0, at), <mark key="mark">{text.slice(at, end)}</mark>, text.slice(end)];
}

const SPOKEN: Record<Lane, string> = { host: "host", gateway: "gateway", connector: "connector" };

/** Returns a row for a screen reader. */
function spoken({ entry, worst, answered }: EntryRow): string {
  const way = entry.from === entry.to ? SPOKEN[entry.from] : `${SPOKEN[entry.from]} to ${SPOKEN[entry.to]}`;
  const parts = [`${clock(entry.t)} s`, way, `${entry.type} ${entry.op ?? ""}`.trim(), entry.gist ?? ""];
  if (answered) parts.push(answered.isAnswer ? `answers after ${duration(answered.ms)}` : `answered after ${duration(answered.ms)}`);
  if (worst) parts.push(`marked: ${worst}`);
  return parts.filter(Boolean).join(", ");
}

