// Charts of the last two minutes, a column per second: messages in both directions, and the latency of requests.

import type { ComponentChildren } from "preact";
import { type Paint, useCanvas } from "../shared/canvas";
import { duration } from "../shared/format";
import type { Charts } from "../shared/live";

const HEIGHT = 44;

interface ChartProps {
  label: string;
  children: ComponentChildren;
  paint: Paint;
  charts: Charts | undefined;
}

function Chart({ label, children, paint, charts }: ChartProps) {
  const canvas = useCanvas(HEIGHT, paint, charts);
  return (
    <figure class="tile chart">
      <figcaption>{children}</figcaption>
      <canvas ref={canvas} role="img" aria-label={label} />
    </figure>
  );
}

export function TrafficChart({ charts }: { charts: Charts | undefined }) {
  // The last second is not over.
  const [up, down] = [charts?.up.at(-2) ?? 0, charts?.down.at(-2) ?? 0];
  const most = Math.max(1, ...(charts?.up ?? []), ...(charts?.down ?? []));
  const paint: Paint = (draw, width, color) => {
    if (!charts) return;
    const step = width / charts.up.length;
    const middle = HEIGHT / 2;
    draw.fillStyle = color("--rule");
    draw.fillRect(0, middle - 0.5, width, 1);
    const bar = (count: number) => (count === 0 ? 0 : 1.5 + (count / most) * (middle - 3));
    charts.up.forEach((count, at) => {
      draw.fillStyle = color("--to-connector");
      draw.fillRect(at * step, middle - 0.5 - bar(count), Math.max(1, step - 1), bar(count));
      const other = bar(charts.down[at] ?? 0);
      draw.fillStyle = color("--to-gateway");
      draw.fillRect(at * step, middle + 0.5, Math.max(1, step - 1), other);
    });
  };
  const label = `Frames per second in the last two minutes: ${up} to the connector, ${down} to the gateway now, ${most} at most`;
  return (
    <Chart label={label} charts={charts} paint={paint}>
      <b>Frames per second</b>
      <span class="up">↑ {up.toLocaleString("en")} to connector</span>
      <span class="down">↓ {down.toLocaleString("en")} to gateway</span>
    </Chart>
  );
}

export function LatencyChart({ charts }: { charts: Charts | undefined }) {
  const median = charts?.median.findLast((ms) => ms !== undefined);
  const high = charts?.high.findLast((ms) => ms !== undefined);
  const most = Math.max(1, ...(charts?.high ?? []).filter((ms) => ms !== undefined));
  const paint: Paint = (draw, width, color) => {
    if (!charts) return;
    const step = width / charts.up.length;
    draw.fillStyle = color("--rule");
    draw.fillRect(0, HEIGHT - 1, width, 1);
    const y = (ms: number) => HEIGHT - 3 - (ms / most) * (HEIGHT - 8);
    charts.high.forEach((high, at) => {
      const median = charts.median[at];
      if (high === undefined || median === undefined) return;
      const column = (name: string, ms: number) => {
        draw.fillStyle = color(name);
        draw.fillRect(at * step, y(ms), Math.max(1, step - 1), HEIGHT - 1 - y(ms));
      };
      column("--turn", high);
      column("--accent", median);
    });
  };
  const said = median === undefined || high === undefined ? "none yet" : `median ${duration(median)}, 95 % within ${duration(high)}`;
  return (
    <Chart label={`Time from a request to its result in the last two minutes: ${said}`} charts={charts} paint={paint}>
      <b>Request to result</b>
      {median === undefined || high === undefined ? (
        <span>no result yet</span>
      ) : (
        <>
          <span class="median">median {duration(median)}</span>
          <span class="high">95 % in {duration(high)}</span>
        </>
      )}
    </Chart>
  );
}
