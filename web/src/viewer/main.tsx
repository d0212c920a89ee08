// Starts the viewer: hands the embedded sessions to the worker, and shows what it finds.

import { render } from "preact";
import { startWorker } from "../shared/client";
import "../shared/theme.css";
import "./viewer.css";
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
  const sessions = startWorker();
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
