// The whole session as one strip: frames in both directions, problems and states over time.

import { type Paint, useCanvas } from "../shared/canvas";
import { clock } from "../shared/format";
import type { Facets } from "../shared/rows";

interface OverviewProps {
  facets: Facets;
  onPick: (part: number) => void;
}

const HEIGHT = 56;

export function Overview({ facets, onPick }: OverviewProps) {
  const canvas = useCanvas(HEIGHT, painter(facets.overview), facets);
  const part = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    return box ? Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) : 0;
  };
  const said = `${facets.entries} rows over ${clock(facets.lastMs)} s, drawn over time`;
  return (
    <section class="overview" aria-label="Overview">
      <canvas
        ref={canvas}
        role="img"
        aria-label={said}
        onClick={(event) => onPick(part(event))}
        onMouseMove={(event) => {
          event.currentTarget.title = clock(Math.round(part(event) * facets.lastMs));
        }}
      />
    </section>
  );
}

function painter({ up, down, marks, states }: Facets["overview"]): Paint {
  return (draw, width, color) => {
    const columns = up.length;
    const step = width / columns;
    const most = Math.max(1, ...up, ...down);
    const middle = 26;
    const bar = (count: number) => (count === 0 ? 0 : 2 + Math.sqrt(count / most) * 18);
    for (let at = 0; at < columns; at += 1) {
      const left = at * step;
      draw.fillStyle = color("--to-connector");
      draw.fillRect(left, middle - bar(up[at] ?? 0), Math.max(1, step - 1), bar(up[at] ?? 0));
      draw.fillStyle = color("--to-gateway");
      draw.fillRect(left, middle + 1, Math.max(1, step - 1), bar(down[at] ?? 0));
    }
    states.forEach((state, at) => {
      const left = state.from * width;
      const right = (states[at + 1]?.from ?? 1) * width;
      draw.fillStyle = color(`--state-${state.state}`) || color("--rule");
      draw.fillRect(left, HEIGHT - 6, Math.max(1, right - left), 6);
    });
    const colors = ["", color("--note"), color("--warning"), color("--error")];
    for (let at = 0; at < columns; at += 1) {
      const mark = marks[at] ?? 0;
      if (mark === 0) continue;
      const x = at * step + step / 2;
      draw.fillStyle = colors[mark] ?? "";
      draw.beginPath();
      // The shapes are those of the signs.
      if (mark === 3) {
        draw.moveTo(x, 0);
        draw.lineTo(x + 5, 5);
        draw.lineTo(x, 10);
        draw.lineTo(x - 5, 5);
      } else if (mark === 2) {
        draw.moveTo(x, 1);
        draw.lineTo(x + 4.5, 9);
        draw.lineTo(x - 4.5, 9);
      } else {
        draw.arc(x, 5, 2.5, 0, Math.PI * 2);
      }
      draw.fill();
    }
  };
}
