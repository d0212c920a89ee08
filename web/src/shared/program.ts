// The page's side of the program that serves it: events, and actions.

export type LinkState = "connecting" | "open" | "lost";

/** Connection to the program. `reset` gets the whole state, `update` each change of it. */
export class Live {
  #token: Promise<string> | undefined;

  constructor(handlers: { reset(data: unknown): void; update(data: unknown): void; link(state: LinkState): void }) {
    const source = new EventSource("events");
    source.addEventListener("reset", (event) => {
      handlers.link("open");
      handlers.reset(JSON.parse(event.data as string));
    });
    source.addEventListener("update", (event) => handlers.update(JSON.parse(event.data as string)));
    source.addEventListener("open", () => handlers.link("open"));
    // The browser tries again, unless the program refuses it.
    source.addEventListener("error", () => {
      this.#token = undefined;
      handlers.link(source.readyState === EventSource.CLOSED ? "lost" : "connecting");
    });
  }

  /** Posts an action. Fails with the program's text for people. */
  async act(action: unknown): Promise<unknown> {
    this.#token ??= this.#session();
    const response = await fetch("action", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Relayline-Token": await this.#token },
      body: JSON.stringify(action),
    }).catch(() => {
      throw new Error("The program does not answer: it may have ended.");
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as unknown;
    if (response.status === 403) this.#token = undefined;
    throw new Error(messageOf(text));
  }

  async #session(): Promise<string> {
    const response = await fetch("session");
    if (!response.ok) throw new Error(await response.text());
    const { token } = (await response.json()) as { token: string };
    return token;
  }
}

function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // It is plain text.
  }
  return text.trim();
}
