// Small parts of a page with a diagram. The viewer and the inspector share them.

import type { RefObject } from "preact";
import type { DiagramHandle } from "../shared/diagram";

export function SkipLink({ diagram }: { diagram: RefObject<DiagramHandle | null> }) {
  return (
    <a class="skip" href="#diagram" onClick={(event) => (event.preventDefault(), diagram.current?.focus())}>
      Skip to the diagram
    </a>
  );
}

interface SessionChoiceProps {
  label: string;
  names: string[];
  chosen: number;
  onChoose: (at: number) => void;
}

/** A list of sessions, if there are several. */
export function SessionChoice({ label, names, chosen, onChoose }: SessionChoiceProps) {
  if (names.length < 2) return null;
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={chosen} onChange={(event) => onChoose(Number(event.currentTarget.value))}>
        {names.map((name, at) => (
          <option key={at} value={at}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function HelpButton({ onClick }: { onClick: () => void }) {
  return (
    <button type="button" class="quiet" aria-label="Keyboard help" title="Keyboard help (?)" onClick={onClick}>
      ?
    </button>
  );
}
