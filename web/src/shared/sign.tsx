// The sign of a severity: a shape of its own, so that it is read without color.

import type { Severity } from "./model";

const SHAPES: Record<Severity, string> = {
  error: "M8 1 15 8 8 15 1 8Z",
  warning: "M8 1.5 15.2 14.5H.8Z",
  note: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Z",
};
const MARKS: Record<Severity, string> = {
  error: "M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  warning: "M8 6v3.6M8 11.6v.9",
  note: "M8 7.2v4M8 4.6v.9",
};

export function Sign({ severity }: { severity: Severity }) {
  return (
    <svg class={`sign is-${severity}`} viewBox="0 0 16 16" width="16" height="16" role="img" aria-label={severity}>
      <path class="shape" d={SHAPES[severity]} />
      <path class="mark" d={MARKS[severity]} />
    </svg>
  );
}
