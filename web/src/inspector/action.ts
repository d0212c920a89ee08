// Actions of the page, which need a token that only the page can read.

let token: string | undefined;

/** Asks the program for an action. Returns what is wrong, if something is. */
export async function act(action: unknown): Promise<string | undefined> {
  try {
    token ??= ((await (await fetch("session")).json()) as { token: string }).token;
    const response = await fetch("action", {
      method: "POST",
      headers: { "content-type": "application/json", "x-relayline-token": token },
      body: JSON.stringify(action),
    });
    if (response.ok) return undefined;
    return (await response.text()).slice(0, 300);
  } catch {
    return "The program cannot be reached.";
  }
}
