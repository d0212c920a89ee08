// Starts the workbench: connects to the program, and shows what it sends.

import { render } from "preact";
import { type LinkState, Live } from "../shared/program";
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
      if (state) render(<App state={state} link={link} live={live} />, place);
    });
  };
  const live: Live = new Live({
    reset(data) {
      if (!state) place.replaceChildren();
      state = data as Snapshot;
      draw();
    },
    update(data) {
      if (state) state = apply(state, data as Update);
      draw();
    },
    link(to) {
      link = to;
      if (!state && to === "lost") place.textContent = "The program refused this page: open the URL that it printed.";
      draw();
    },
  });
}
