// The keys of the page, and how the diagram is read.

import { useEffect, useRef } from "preact/hooks";

const KEYS: [string, string][] = [
  ["↑ ↓ or k j", "previous, next frame"],
  ["Enter", "details of the frame"],
  ["n, p", "next, previous problem"],
  ["[ ]", "the frame that is joined to this one, before or after it"],
  ["/", "search"],
  ["x", "clear all filters"],
  ["Home, End", "first, last frame"],
  ["Esc", "close"],
];

const SIGNS: [string, string][] = [
  ["Solid arrow", "a request, or a message"],
  ["Dashed arrow", "an answer: a result, an acknowledgement, a descriptor"],
  ["Dot", "something in the gateway alone: a timer of the replay, a note"],
  ["Bracket at the right", "the frames of one turn; a click shows only them"],
  ["Column “state”", "the connection's state, from a replay of the recording"],
];

export function Help({ tool, onClose }: { tool: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-label="Help" onClose={onClose} onCancel={onClose}>
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <h2>The diagram</h2>
      <dl>
        {SIGNS.map(([sign, what]) => (
          <div key={sign}>
            <dt>{sign}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="facts">
        <span>{tool}</span> <span>This page loads nothing from a network.</span>
      </p>
      <button type="button" onClick={onClose}>
        Close
      </button>
    </dialog>
  );
}
