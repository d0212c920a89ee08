// Starts the viewer: hands the embedded sessions to the worker, and shows what it finds.

import { render } from "preact";
import { ask } from "../shared/client";
import type { Summary } from "../shared/rows";
import "../shared/theme.css";
import "./viewer.css";
import type { Store } from "../worker/store";
import SessionWorker from "../worker/worker?worker&inline";
import { App } from "./app";

interface Embedded {
  encoding: string;
  data: string;
}

const place = document.getElementById("app");

async function start(root: HTMLElement): Promise<void> {
  const element = document.getElementById("sessions");
  const embedded = JSON.parse(element?.textContent ?? "null") as Embedded | string | null;
  if (!embedded || typeof embedded === "string") throw new Error("this page has no session: make one with `relayline view FILE`");
  // The text is not needed twice.
  element?.remove();
  const sessions = ask<Store & { load(base64: string): Promise<Summary> }>(new SessionWorker());
  const summary = await sessions.load(embedded.data);
  render(<App sessions={sessions} summary={summary} />, root);
}

if (place) {
  start(place).catch((error: unknown) => {
    const message = document.createElement("p");
    message.className = "loading";
    message.setAttribute("role", "alert");
    message.textContent = `The page cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
    place.replaceChildren(message);
  });
}
