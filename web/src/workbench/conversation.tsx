// A chat: its messages by thread, and the composer.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Act } from "./app";
import { PlatformMark, kindName } from "./chat-list";
import { Composer, type Answering } from "./composer";
import { useEnd } from "./end";
import { MessageView } from "./message";
import { type Chat, type Message, type Snapshot, isTyping, platformName, threads } from "./model";

/** Focuses an element when it is new. */
function focus(element: HTMLElement | null) {
  element?.focus();
}

export function Conversation({
  chat,
  state,
  act,
  open,
}: {
  chat: Chat;
  state: Snapshot;
  act: Act;
  open: (key: string) => void;
}) {
  const people = (state.people[chat.platform] ?? []).filter((person) => !chat.only || person.id === chat.only);
  const [chosen, setUser] = useState("");
  const user = people.find((person) => person.id === chosen) ?? people[0];
  const [answering, setAnswering] = useState<Answering>({});
  const grouped = useMemo(() => threads(chat.messages), [chat.messages]);
  const byKey = useMemo(() => new Map(chat.messages.map((message) => [message.key, message])), [chat.messages]);

  const { box, onScroll, toEnd, hasNew } = useEnd<HTMLDivElement>([chat.messages, chat.typing], 60);

  const show = (message: Message) => (
    <MessageView
      key={message.key}
      message={message}
      chat={chat}
      answered={message.reply_to === undefined ? undefined : byKey.get(message.reply_to)}
      user={user}
      act={act}
      reply={(to) => {
        setAnswering(to);
        document.getElementById("text")?.focus();
      }}
    />
  );

  const [threadName, setThreadName] = useState<string>();
  const opened = useRef<{ before: Set<string>; name: string } | undefined>(undefined);
  const openThread = async (event: Event) => {
    event.preventDefault();
    const name = threadName?.trim();
    if (!name) return;
    opened.current = { before: new Set(state.chats.map((known) => known.key)), name };
    if (await act({ do: "open_thread", chat: chat.key, name })) setThreadName(undefined);
    else opened.current = undefined;
  };
  // The thread comes with an event, and is opened then.
  useEffect(() => {
    const wanted = opened.current;
    const found = wanted && state.chats.find((known) => !wanted.before.has(known.key) && known.name === wanted.name);
    if (!found) return;
    opened.current = undefined;
    open(found.key);
  }, [state.chats]);

  const hasThreads = chat.platform !== "slack" && chat.chat_type !== "dm" && chat.chat_type !== "thread";
  return (
    <main class="conversation" aria-label={`${chat.name} on ${platformName(chat.platform)}`}>
      <header>
        <PlatformMark platform={chat.platform} />
        <h2>
          <bdi>{chat.name}</bdi>
        </h2>
        <span class="soft about">
          {kindName(chat)}
          {chat.topic && chat.chat_type !== "forum" && (
            <>
              {" · "}
              <bdi>{chat.topic}</bdi>
            </>
          )}
        </span>
        {hasThreads && (
          <button
            type="button"
            class="quiet"
            aria-expanded={threadName !== undefined}
            onClick={() => setThreadName(threadName === undefined ? "" : undefined)}
          >
            {chat.platform === "telegram" ? "New topic" : "New thread"}
          </button>
        )}
      </header>
      {threadName !== undefined && (
        <form class="new-thread" onSubmit={(event) => void openThread(event)}>
          <label>
            Name
            <input
              type="text"
              required
              ref={focus}
              value={threadName}
              onInput={(event) => setThreadName(event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Escape" && setThreadName(undefined)}
            />
          </label>
          <button type="submit">Open</button>
        </form>
      )}
      <div class="messages" ref={box} onScroll={onScroll} role="log" aria-label="Messages" tabIndex={0}>
        {chat.messages.length === 0 && (
          <div class="welcome">
            <PlatformMark platform={chat.platform} />
            <p>
              Write as <b>{user?.name}</b>, and the agent gets it as from {platformName(chat.platform)}.
            </p>
            {state.commands.length > 0 && <p class="soft">Type / for the commands that the agent has declared.</p>}
          </div>
        )}
        {grouped.map(({ root, replies }) => (
          <div key={root.key} class={replies.length > 0 ? "thread" : undefined}>
            {show(root)}
            {replies.length > 0 && <div class="replies">{replies.map(show)}</div>}
          </div>
        ))}
        <Typing chat={chat} />
      </div>
      {hasNew && (
        <button type="button" class="to-end" onClick={toEnd}>
          New messages ↓
        </button>
      )}
      <Composer
        chat={chat}
        people={people}
        user={user}
        setUser={setUser}
        commands={state.commands}
        answering={answering}
        setAnswering={setAnswering}
        answered={byKey.get(answering.reply_to ?? answering.thread ?? "")}
        act={act}
      />
    </main>
  );
}

function Typing({ chat }: { chat: Chat }) {
  if (!chat.typing || !isTyping(chat)) return null;
  return (
    <p class="typing">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <bdi>agent: {chat.typing[0]}</bdi>
    </p>
  );
}
