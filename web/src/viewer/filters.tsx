// Search and filters.

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { count } from "../shared/format";
import type { Rule } from "../shared/model";
import type { Choice, Facets, Filter } from "../shared/rows";
import { emptyFilter, isEmpty } from "../shared/rows";

interface FiltersProps {
  facets: Facets;
  rules: Record<string, Rule>;
  filter: Filter;
  shown: number;
  search: RefObject<HTMLInputElement | null>;
  onChange: (filter: Filter) => void;
}

/** Time without a key after which the search begins. */
const PAUSE_MS = 120;

export function Filters({ facets, rules, filter, shown, search, onChange }: FiltersProps) {
  const [text, setText] = useState(filter.text);
  useEffect(() => setText(filter.text), [filter.text]);
  useEffect(() => {
    if (text === filter.text) return;
    const timer = setTimeout(() => onChange({ ...filter, text }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const isFiltered = !isEmpty(filter);
  const directions: [string, string][] = [
    ["gateway>connector", "gateway → connector"],
    ["connector>gateway", "connector → gateway"],
  ];
  if (facets.hasHost) directions.unshift(["host>gateway", "host → gateway"], ["gateway>host", "gateway → host"]);
  const pick = (name: "chat" | "key" | "type" | "direction" | "problem", label: string, choices: [string, string][]) => (
    <select
      aria-label={label}
      class={filter[name] ? "is-set" : ""}
      value={filter[name]}
      onChange={(event) => onChange({ ...filter, [name]: event.currentTarget.value })}
    >
      <option value="">{label}</option>
      {choices.map(([value, shown]) => (
        <option key={value} value={value}>
          {shown}
        </option>
      ))}
    </select>
  );
  const counted = (choices: Choice[]): [string, string][] =>
    choices.map(({ value, number, shown }) => [value, `${cut(shown ?? value)} (${number.toLocaleString("en")})`]);
  const problems: [string, string][] = facets.problems.map(({ kind, count }) => [kind, `${rules[kind]?.title ?? kind} (${count})`]);
  return (
    <form class="filters" role="search" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <label class="search">
        <span class="visually-hidden">Search in all frames</span>
        <input
          ref={search}
          type="search"
          value={text}
          placeholder="Search in all frames   /"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {pick("direction", "Direction", directions)}
      {pick("type", "Type", counted(facets.types))}
      {facets.chats.length > 0 && pick("chat", "Chat", counted(facets.chats))}
      {facets.keys.length > 0 && pick("key", "Session", counted(facets.keys))}
      {problems.length > 0 && pick("problem", "Problem", [["any", "Any problem"], ...problems])}
      {filter.turn > 0 && (
        <button type="button" class="chip" onClick={() => onChange({ ...filter, turn: 0 })} aria-label={`Turn ${filter.turn} only; show all`}>
          turn {filter.turn} ✕
        </button>
      )}
      <span class="shown" role="status">
        {isFiltered ? `${shown.toLocaleString("en")} of ${count(facets.entries, "row")}` : count(facets.entries, "row")}
      </span>
      {isFiltered && (
        <button type="button" class="quiet" onClick={() => onChange(emptyFilter())}>
          Clear
        </button>
      )}
    </form>
  );
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
