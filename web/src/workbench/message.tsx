// One message, with its files, buttons, steps and reactions. Everything that a peer wrote is text.

import { useState } from "preact/hooks";
import { count, size } from "../shared/format";
import { Sign } from "../shared/sign";
import type { Act } from "./app";
import type { Answering } from "./composer";
import { type Attachment, type Chat, type Message, type Person, type Prompt, type Step, timeOfDay } from "./model";

/** Longest text that is shown at once. */
const MOST = 2_500;

export function MessageView({
  message,
  chat,
  answered,
  user,
  act,
  reply,
}: {
  message: Message;
  chat: Chat;
  answered: Message | undefined;
  user: Person | undefined;
  act: Act;
  reply: (to: Answering) => void;
}) {
  const [draft, setDraft] = useState<string>();
  const { author } = message;
  if (author.kind === "note") {
    return (
      <p class={`aside ${author.is_error ? "is-error" : ""}`}>
        {author.is_error && <Sign severity="error" />}
        <bdi>
          <Text message={message} />
        </bdi>
        <time>{timeOfDay(message.at)}</time>
      </p>
    );
  }
  const name = author.kind === "agent" ? "agent" : author.name;
  const isOwn = author.kind === "user" && !message.is_deleted;
  const save = async (event: Event) => {
    event.preventDefault();
    if (await act({ do: "edit", chat: chat.key, message: message.key, text: draft })) setDraft(undefined);
  };
  return (
    <article
      class={`message is-${author.kind} ${message.is_draft ? "is-draft" : ""}`}
      aria-label={`${name}, ${timeOfDay(message.at)}`}
    >
      <Avatar author={author} />
      <div class="body">
        <p class="head">
          <bdi class="author">{name}</bdi>
          {author.kind === "agent" && <span class="bot">bot</span>}
          <time>{timeOfDay(message.at)}</time>
          {message.is_draft && <span class="soft">drafting…</span>}
          {message.edits > 0 && !message.is_deleted && (
            <span class="soft">edited{message.edits > 1 && ` ${message.edits} times`}</span>
          )}
          {message.progress && !message.is_deleted && <Progress progress={message.progress} />}
        </p>
        {answered && !message.thread && (
          <p class="quote">
            <bdi>{answered.text.slice(0, 140)}</bdi>
          </p>
        )}
        {message.is_deleted ? (
          <p class="soft gone">deleted{author.kind === "user" && ": the protocol does not tell the agent"}</p>
        ) : draft === undefined ? (
          <div class="text" dir="auto">
            <Text message={message} />
          </div>
        ) : (
          <form class="editor" onSubmit={(event) => void save(event)}>
            <textarea
              aria-label="New text"
              value={draft}
              rows={2}
              onInput={(event) => setDraft(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Escape") setDraft(undefined);
                if (event.key === "Enter" && !event.shiftKey && !event.isComposing) void save(event);
              }}
            />
            <button type="submit">Save</button>
            <button type="button" class="quiet" onClick={() => setDraft(undefined)}>
              Cancel
            </button>
          </form>
        )}
        {message.files?.map((file) => <File key={file.url} file={file} />)}
        {message.prompt && <Buttons prompt={message.prompt} chat={chat} user={user} act={act} />}
        {message.card && <Steps steps={message.card.steps} isOver={message.card.is_over} />}
        {message.reactions && (
          <p class="reactions">
            {message.reactions.map((emoji) => (
              <span key={emoji} class="reaction">
                <bdi>{emoji}</bdi>
                <span class="visually-hidden"> by the agent</span>
              </span>
            ))}
          </p>
        )}
      </div>
      {!message.is_deleted && !message.card && (
        <div class="actions">
          <button type="button" class="quiet" onClick={() => reply(answeringOf(chat, message))}>
            {chat.platform === "slack" ? "Reply in thread" : "Reply"}
          </button>
          {isOwn && (
            <>
              <button type="button" class="quiet" onClick={() => setDraft(message.text)}>
                Edit
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => void act({ do: "delete", chat: chat.key, message: message.key })}
              >
                Delete
              </button>
            </>
          )}
        </div>
      )}
    </article>
  );
}

function answeringOf(chat: Chat, message: Message): Answering {
  return chat.platform === "slack" ? { thread: message.thread ?? message.key } : { reply_to: message.key };
}

function Text({ message: { text, left_out: leftOut = 0 } }: { message: Message }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? text : text.slice(0, MOST);
  return (
    <>
      {shown}
      {shown.length < text.length && (
        <button type="button" class="as-link more" onClick={() => setWhole(true)}>
          … show all {text.length.toLocaleString("en")} characters
        </button>
      )}
      {leftOut > 0 && isWhole && <span class="soft"> … and {count(leftOut, "byte")} that the workbench did not keep</span>}
    </>
  );
}

function Avatar({ author }: { author: Message["author"] }) {
  if (author.kind !== "user") {
    return (
      <span class="avatar is-agent" aria-hidden="true">
        <svg viewBox="0 0 20 20" width="18" height="18">
          <path d="M10 2.5v2.2M4.5 7.2h11v7.6h-11ZM7.8 10.2v1.6M12.2 10.2v1.6M2.5 9.8v2.6M17.5 9.8v2.6" />
        </svg>
      </span>
    );
  }
  const hue = [...author.id].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7);
  return (
    <span class={`avatar is-hue-${hue % 6}`} aria-hidden="true">
      {[...author.name][0]?.toUpperCase()}
    </span>
  );
}

const PROGRESS = {
  waiting: ["⏳", "waits in the connector's buffer"],
  sent: ["✓", "sent to the gateway"],
  acknowledged: ["✓✓", "acknowledged"],
} as const;

function Progress({ progress }: { progress: keyof typeof PROGRESS }) {
  const [mark, text] = PROGRESS[progress];
  return (
    <span class={`progress is-${progress}`} title={text}>
      <span aria-hidden="true">{mark}</span>
      {progress === "waiting" ? <span> waits in the buffer</span> : <span class="visually-hidden">{text}</span>}
    </span>
  );
}

function File({ file }: { file: Attachment }) {
  const about = [file.kind, file.mime, file.size === undefined ? undefined : size(file.size)].filter(Boolean).join(" · ");
  const place = file.file === undefined ? undefined : `files/${encodeURIComponent(file.file)}`;
  return (
    <figure class="file">
      {file.is_shown && place && <img src={place} alt={file.name} loading="lazy" />}
      <figcaption>
        {place ? (
          <a href={place} download={file.name}>
            <bdi>{file.name}</bdi>
          </a>
        ) : (
          <bdi class="path">{file.url || file.name}</bdi>
        )}
        <span class="soft"> {about}</span>
      </figcaption>
    </figure>
  );
}

function Buttons({ prompt, chat, user, act }: { prompt: Prompt; chat: Chat; user: Person | undefined; act: Act }) {
  const press = (option: string) => void act({ do: "press", chat: chat.key, user: user?.id ?? "", prompt: prompt.id, option });
  return (
    <div class="buttons" role="group" aria-label="Answers">
      {prompt.buttons.map((button) => (
        <button
          key={button.id}
          type="button"
          class={`answer is-${button.style ?? "plain"}`}
          disabled={prompt.answer !== undefined}
          aria-pressed={prompt.answer?.[0] === button.label ? true : undefined}
          onClick={() => press(button.id)}
        >
          <bdi>{button.label}</bdi>
        </button>
      ))}
      {prompt.answer && (
        <span class="soft">
          <bdi>{prompt.answer[1]}</bdi> chose <bdi>{prompt.answer[0]}</bdi>
        </span>
      )}
    </div>
  );
}

/** Marks of a step's status: each platform's connector has words of its own. */
function markOf(status: string): [mark: string, tone: string] {
  if (/complete|done|success|ok/i.test(status)) return ["✓", "well"];
  if (/fail|error|reject/i.test(status)) return ["✕", "error"];
  if (/progress|running|active|work/i.test(status)) return ["●", "running"];
  return ["○", "soft"];
}

function Steps({ steps, isOver }: { steps: Step[]; isOver: boolean }) {
  return (
    <div class="card">
      <p class="soft">Steps{isOver && ", ended"}</p>
      <ol>
        {steps.map((step, at) => {
          const [mark, tone] = markOf(step.status);
          return (
            <li key={at}>
              <span class={`step is-${tone}`} aria-hidden="true">
                {mark}
              </span>
              <bdi>{step.title}</bdi>
              <span class="visually-hidden">, {step.status}</span>
              {step.details && (
                <bdi class="soft details">
                  {step.details}
                </bdi>
              )}
            </li>
          );
        })}
      </ol>
    </div>
  );
}
