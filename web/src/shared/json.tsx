// JSON as colored text. It is never wrapped, so that it can be copied as it is.

import { useMemo, useState } from "preact/hooks";

/** Longest text that is shown at once: a longer one would block the page. */
const MOST = 100_000;
/** Largest number of colored pieces: more would be too many elements. */
const MOST_PIECES = 600;

interface Piece {
  kind: "key" | "text" | "number" | "word" | "";
  text: string;
}

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

function pieces(text: string): Piece[] | undefined {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (found.length > MOST_PIECES) return undefined;
    if (match.index > end) found.push({ kind: "", text: text.slice(end, match.index) });
    const [whole, string, colon, number] = match;
    if (string !== undefined) found.push({ kind: colon === undefined ? "text" : "key", text: string });
    else found.push({ kind: number === undefined ? "word" : "number", text: whole });
    if (colon !== undefined) found.push({ kind: "", text: colon });
    end = match.index + whole.length;
  }
  found.push({ kind: "", text: text.slice(end) });
  return found;
}

/** Returns JSON with an indented line per value, or nothing if a text is not valid JSON. */
export function pretty(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return undefined;
  }
}

export function Json({ text, isJson }: { text: string; isJson: boolean }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? text : text.slice(0, MOST);
  const colored = useMemo(() => (isJson && shown.length < 20_000 ? pieces(shown) : undefined), [shown, isJson]);
  return (
    <div class="json-box">
      <pre class="json" tabIndex={0} aria-label="JSON">
        <code>
          {colored
            ? colored.map((piece, at) => (piece.kind ? <span key={at} class={`json-${piece.kind}`}>{piece.text}</span> : piece.text))
            : shown}
        </code>
      </pre>
      {shown.length < text.length && (
        <button type="button" class="quiet" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </div>
  );
}
