// The chats by platform, and forms to add chats and users.

import { useState } from "preact/hooks";
import type { Act } from "./app";
import { type Chat, type Snapshot, isTyping, platformName } from "./model";

export function ChatList({
  state,
  chosen,
  unread,
  open,
  act,
}: {
  state: Snapshot;
  chosen: string;
  unread: Map<string, number>;
  open: (key: string) => void;
  act: Act;
}) {
  const platforms = [...new Set(state.chats.map((chat) => chat.platform))];
  return (
    <nav class="chats" aria-label="Chats" onKeyDown={walk}>
      {platforms.map((platform) => (
        <section key={platform} aria-label={platformName(platform)}>
          <h2>
            <PlatformMark platform={platform} /> {platformName(platform)}
          </h2>
          <ul>
            {state.chats
              .filter((chat) => chat.platform === platform)
              .map((chat) => (
                <li key={chat.key}>
                  <button
                    type="button"
                    class={`chat ${isBelow(chat) ? "is-below" : ""}`}
                    aria-current={chat.key === chosen ? "true" : undefined}
                    onClick={() => open(chat.key)}
                  >
                    <span class="kind" aria-hidden="true">
                      {sign(chat)}
                    </span>
                    <bdi class="name">{chat.name}</bdi>
                    <span class="visually-hidden">, {kindName(chat)}</span>
                    {isTyping(chat) && <span class="typing-dot" title="typing" />}
                    {unread.has(chat.key) && (
                      <span class="unread">
                        {unread.get(chat.key)}
                        <span class="visually-hidden"> new</span>
                      </span>
                    )}
                  </button>
                </li>
              ))}
          </ul>
        </section>
      ))}
      <AddForm platforms={platforms} state={state} act={act} />
    </nav>
  );
}

function walk(event: KeyboardEvent) {
  if (event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("button.chat")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  if (at < 0) return;
  event.preventDefault();
  all[Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), all.length - 1)]?.focus();
}

function isBelow(chat: Chat): boolean {
  return chat.chat_type === "thread" && chat.parent_chat_id !== undefined;
}

function sign(chat: Chat): string {
  if (chat.chat_type === "dm") return "@";
  if (chat.chat_type === "thread") return "↳";
  if (chat.chat_type === "forum") return "›";
  return "#";
}

export function kindName(chat: Chat): string {
  return { dm: "direct chat", thread: "thread", forum: "topic", channel: "channel" }[chat.chat_type] ?? "group";
}

/** A shape of its own for each platform, so that it is read without color. */
export function PlatformMark({ platform }: { platform: string }) {
  const letter = platformName(platform).slice(0, 1).toUpperCase();
  return (
    <span class={`mark is-${platform}`} aria-hidden="true">
      {letter}
    </span>
  );
}

function AddForm({ platforms, state, act }: { platforms: string[]; state: Snapshot; act: Act }) {
  const [platform, setPlatform] = useState(platforms[0] ?? "");
  const [what, setWhat] = useState("chat");
  const [name, setName] = useState("");
  const [user, setUser] = useState("");
  const people = state.people[platform] ?? [];
  const add = async (event: Event) => {
    event.preventDefault();
    const direct = what === "dm" ? people.find((person) => person.id === user) ?? people[0] : undefined;
    const action =
      what === "user"
        ? { do: "add_user", platform, name }
        : { do: "add_chat", platform, name: direct?.name ?? name, ...(direct && { user: direct.id }) };
    if (await act(action)) setName("");
  };
  return (
    <details class="add">
      <summary>Add a chat or user</summary>
      <form onSubmit={(event) => void add(event)}>
        <label for="add-platform">Platform</label>
        <select id="add-platform" value={platform} onChange={(event) => setPlatform(event.currentTarget.value)}>
          {platforms.map((known) => (
            <option key={known} value={known}>
              {platformName(known)}
            </option>
          ))}
        </select>
        <label for="add-what">Add</label>
        <select id="add-what" value={what} onChange={(event) => setWhat(event.currentTarget.value)}>
          <option value="chat">a channel or group</option>
          <option value="dm">a direct chat</option>
          <option value="user">a user</option>
        </select>
        {what === "dm" ? (
          <>
            <label for="add-with">With</label>
            <select id="add-with" value={user || people[0]?.id} onChange={(event) => setUser(event.currentTarget.value)}>
              {people.map((person) => (
                <option key={person.id} value={person.id}>
                  {person.name}
                </option>
              ))}
            </select>
          </>
        ) : (
          <>
            <label for="add-name">Name</label>
            <input
              id="add-name"
              type="text"
              required
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </>
        )}
        <button type="submit">Add</button>
      </form>
    </details>
  );
}
