// Starts the workbench: connects to the program, and shows what it sends.

import { render } from "preact";
import { type LinkState, watchLink } from "../shared/program";
import "../shared/theme.css";
import { App } from "./app";
import { type Snapshot, type Update, apply } from "./model";
import "./workbench.css";

const place = document.getElementById("app");

if (place) {
  let state: Snapshot | undefined;
  let link: LinkState = "connecting";
  let isDrawn = true;
  const draw = () => {
    // Many changes at once are one drawing.
    if (!isDrawn) return;
    isDrawn = false;
    requestAnimationFrame(() => {
      isDrawn = true;
      if (state) render(<App state={state} link={link} />, place);
    });
  };
  const source = new EventSource("events");
  watchLink(source, (to) => {
    link = to;
    if (!state && to === "lost") place.textContent = "The program refused this page: open the URL that it printed.";
    draw();
  });
  source.addEventListener("reset", ({ data }: MessageEvent<string>) => {
    if (!state) place.replaceChildren();
    state = JSON.parse(data) as Snapshot;
    draw();
  });
  source.addEventListener("update", ({ data }: MessageEvent<string>) => {
    if (state) state = apply(state, JSON.parse(data) as Update);
    draw();
  });
}
