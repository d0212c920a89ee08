// The composer: as which user, with which files, in answer to what.

import { useEffect, useRef, useState } from "preact/hooks";
import { size } from "../shared/format";
import type { Act } from "./app";
import { type Chat, type Command, type Message, type Person, platformName } from "./model";

/** Message that is answered, or whose thread is continued. */
export interface Answering {
  thread?: string;
  reply_to?: string;
}

/** Maximum size of all files of a message: the program takes 40 MiB of JSON. */
const MOST_BYTES = 25 * 1024 * 1024;

/** Texts that were begun, by chat: they outlive a look at another chat. */
const begun = new Map<string, string>();

export function Composer({
  chat,
  people,
  user,
  setUser,
  commands,
  answering,
  setAnswering,
  answered,
  act,
}: {
  chat: Chat;
  people: Person[];
  user: Person | undefined;
  setUser: (id: string) => void;
  commands: Command[];
  answering: Answering;
  setAnswering: (to: Answering) => void;
  answered: Message | undefined;
  act: Act;
}) {
  const [text, setText] = useState(begun.get(chat.key) ?? "");
  const [files, setFiles] = useState<File[]>([]);
  const [problem, setProblem] = useState("");
  const [at, setAt] = useState(0);
  const [isClosed, setClosed] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  // The last message that is on its way. The next one follows it, so that their order stays.
  const last = useRef(Promise.resolve());

  useEffect(() => area.current?.focus(), []);
  useEffect(() => {
    begun.set(chat.key, text);
    const { current } = area;
    if (!current) return;
    current.style.height = "auto";
    current.style.height = `${Math.min(current.scrollHeight + 2, 180)}px`;
  }, [text]);

  const typed = /^\/([^\s]*)$/.exec(text)?.[1];
  const offered = typed === undefined || isClosed ? [] : commands.filter((command) => command.name.startsWith(typed)).slice(0, 8);
  const marked = Math.min(at, offered.length - 1);
  const complete = (command: Command | undefined) => {
    if (!command) return;
    setText(`/${command.name} `);
    area.current?.focus();
  };

  const send = () => {
    if (!user || (!text.trim() && files.length === 0)) return;
    // At once: one types on while the message is on its way.
    setText("");
    begun.set(chat.key, "");
    setFiles([]);
    if (!answering.thread) setAnswering({});
    area.current?.focus();
    const deliver = async () => {
      try {
        const attached = await Promise.all(files.map(encode));
        const action = { do: "say", chat: chat.key, user: user.id, text: text.trimEnd(), ...answering, files: attached };
        if (await act(action)) return;
      } catch (error) {
        setProblem(`A file cannot be read: ${error}`);
      }
      // What was refused is kept, before what was typed since. The page may show another chat by now.
      const keep = (since: string) => (since ? `${text}\n${since}` : text);
      begun.set(chat.key, keep(begun.get(chat.key) ?? ""));
      setText(keep);
      setFiles((since) => [...files, ...since]);
      setAnswering(answering);
    };
    last.current = last.current.then(deliver);
  };

  const attach = (list: FileList | null | undefined) => {
    const all = [...files, ...(list ?? [])];
    const bytes = all.reduce((sum, file) => sum + file.size, 0);
    if (bytes > MOST_BYTES) setProblem(`The files have ${size(bytes)}; a message takes ${size(MOST_BYTES)}.`);
    else if (all.length > 10) setProblem("A message takes 10 files.");
    else {
      setProblem("");
      setFiles(all);
    }
    area.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (offered.length > 0) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        setAt((marked + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length);
        return;
      }
      if (event.key === "Tab" || (event.key === "Enter" && offered[marked]?.name !== typed)) {
        event.preventDefault();
        complete(offered[marked]);
        return;
      }
      if (event.key === "Escape") {
        setClosed(true);
        return;
      }
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape") setAnswering({});
  };

  const isThread = answering.thread !== undefined;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        attach(event.dataTransfer?.files);
      }}
    >
      {(isThread || answering.reply_to) && (
        <p class="answering">
          <span class="soft">{isThread ? "In the thread of" : "In reply to"}</span>
          <bdi>{answered?.text.slice(0, 100) || "a message"}</bdi>
          <button type="button" class="quiet" aria-label="Write to the chat instead" onClick={() => setAnswering({})}>
            ✕
          </button>
        </p>
      )}
      {offered.length > 0 && (
        <ul class="commands" role="listbox" id="commands" aria-label="Commands">
          {offered.map((command, index) => (
            <li
              key={command.name}
              id={`command-${index}`}
              role="option"
              aria-selected={index === marked}
              onMouseDown={(event) => {
                event.preventDefault();
                complete(command);
              }}
            >
              <b>/{command.name}</b>
              {command.option && <span class="soft"> {command.option}</span>}
              <span class="soft"> {command.description}</span>
            </li>
          ))}
        </ul>
      )}
      {files.length > 0 && (
        <ul class="picked" aria-label="Attached files">
          {files.map((file, index) => (
            <li key={index}>
              <bdi>{file.name}</bdi> <span class="soft">{size(file.size)}</span>
              <button
                type="button"
                class="quiet"
                aria-label={`Remove ${file.name}`}
                onClick={() => setFiles(files.filter((_, other) => other !== index))}
              >
                ✕
              </button>
            </li>
          ))}
        </ul>
      )}
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="line">
        <label class="as">
          <span class="visually-hidden">Write as</span>
          <select value={user?.id} onChange={(event) => setUser(event.currentTarget.value)} disabled={people.length < 2}>
            {people.map((person) => (
              <option key={person.id} value={person.id}>
                {person.name}
              </option>
            ))}
          </select>
        </label>
        <textarea
          id="text"
          ref={area}
          rows={1}
          value={text}
          aria-label={`Message to ${chat.name} as ${user?.name ?? ""}`}
          placeholder={`Message ${chat.name} on ${platformName(chat.platform)}`}
          aria-autocomplete="list"
          aria-haspopup="listbox"
          aria-controls={offered.length > 0 ? "commands" : undefined}
          aria-activedescendant={offered.length > 0 ? `command-${marked}` : undefined}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setClosed(false);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            if (event.clipboardData?.files.length) {
              event.preventDefault();
              attach(event.clipboardData.files);
            }
          }}
        />
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label="Files"
          onChange={(event) => {
            attach(event.currentTarget.files);
            event.currentTarget.value = "";
          }}
        />
        <button type="button" class="quiet" onClick={() => picker.current?.click()}>
          Attach
        </button>
        <button
          type="button"
          class="quiet"
          title="Interrupts the agent's turn in this chat"
          onClick={() => void act({ do: "interrupt", chat: chat.key, user: user?.id ?? "", thread: answering.thread ?? null })}
        >
          Interrupt
        </button>
        <button type="submit" class="send" disabled={!text.trim() && files.length === 0}>
          Send
        </button>
      </div>
    </form>
  );
}

async function encode(file: File): Promise<{ name: string; mime: string; base64: string }> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let from = 0; from < bytes.length; from += 0x8000) binary += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  return { name: file.name, mime: file.type, base64: btoa(binary) };
}
