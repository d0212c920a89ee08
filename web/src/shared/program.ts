// The page's side of the program that serves it: events, and actions.

/** State of the connection. A lost one is refused by the program, and not tried again. */
export type LinkState = "connecting" | "open" | "lost";

/** Tells each state of the connection of a source of events. */
export function watchLink(source: EventSource, tell: (link: LinkState) => void): void {
  source.addEventListener("open", () => tell("open"));
  // The browser tries again, unless the program refuses it.
  source.addEventListener("error", () => tell(source.readyState === EventSource.CLOSED ? "lost" : "connecting"));
}

/** Token of actions, which only the page can read. */
let token: string | undefined;

/** Posts an action. Returns the program's text for people if it fails. */
export async function postAction(action: unknown): Promise<string | undefined> {
  try {
    token ??= (JSON.parse(await request("session")) as { token: string }).token;
    await request("action", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Relayline-Token": token },
      body: JSON.stringify(action),
    });
    return undefined;
  } catch (error) {
    // The program may have been started again, with another token.
    token = undefined;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Returns the text of an answer. Fails with the program's text for people. */
async function request(path: string, options?: RequestInit): Promise<string> {
  const response = await fetch(path, options).catch(() => {
    throw new Error("The program does not answer: it may have ended.");
  });
  const text = await response.text();
  if (!response.ok) throw new Error(messageOf(text));
  return text;
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
