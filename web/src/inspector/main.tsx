// Starts the inspector: a worker reads the events of the program, and the page shows what it has.

import { render } from "preact";
import { ask } from "../shared/client";
import type { Notice } from "../shared/live";
import "../shared/theme.css";
import "../viewer/viewer.css";
import "./inspector.css";
import LiveWorker from "../worker/live-worker?worker&inline";
import { Inspector, type LiveSessions } from "./inspector";

const place = document.getElementById("app");

if (place) {
  const listeners = new Set<(notice: Notice) => void>();
  const sessions: LiveSessions = ask(new LiveWorker(), (notice) => {
    for (const listener of listeners) listener(notice as Notice);
  });
  const subscribe = (listener: (notice: Notice) => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  render(<Inspector sessions={sessions} subscribe={subscribe} />, place);
  // A worker has no address of its own.
  void sessions.connect(new URL("events", location.href.split("#")[0]).href);
}
