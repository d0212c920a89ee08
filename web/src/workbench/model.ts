// Values of the workbench, as `cli/src/workbench/` writes them.

export type Author = { kind: "user"; id: string; name: string } | { kind: "agent" } | { kind: "note"; is_error: boolean };

export interface Attachment {
  name: string;
  kind: string;
  mime?: string;
  size?: number;
  url: string;
  file?: string;
  is_shown: boolean;
}

export interface Button {
  id: string;
  label: string;
  style?: string;
}

export interface Prompt {
  id: string;
  kind: string;
  buttons: Button[];
  answer?: [label: string, name: string];
}

export interface Step {
  title: string;
  status: string;
  details?: string;
}

export interface Message {
  key: string;
  at: number;
  author: Author;
  text: string;
  left_out?: number;
  thread?: string;
  reply_to?: string;
  edits: number;
  is_deleted: boolean;
  is_draft: boolean;
  progress?: "waiting" | "sent" | "acknowledged";
  files?: Attachment[];
  prompt?: Prompt;
  card?: { steps: Step[]; is_over: boolean };
  reactions?: string[];
}

export interface ChatHead {
  key: string;
  platform: string;
  chat_id: string;
  chat_type: string;
  name: string;
  topic?: string;
  thread_id?: string;
  parent_chat_id?: string;
  only?: string;
  typing?: [text: string, since: number];
}

export interface Chat extends ChatHead {
  messages: Message[];
}

export interface Person {
  id: string;
  name: string;
}

export interface Gateway {
  id: string | null;
  state: "away" | "dialed" | "connected" | "idle" | "refused";
  since: number;
  dials: number;
  platforms: string[];
  requests: number;
  refused: number;
  has_ended: boolean;
  buffered: number;
  last_end?: { code: number | null; reason: string; by: string };
}

export interface Frame {
  number: number;
  at: number;
  direction: "up" | "down" | "link";
  type: string;
  gist: string;
  json: string;
}

export interface Command {
  name: string;
  description: string;
  option?: string;
}

export interface Agent {
  program: string;
  state: "starting" | "running" | "crashed";
  starts: number;
  why: string;
  watched: string[];
  can_restart: boolean;
}

export interface Snapshot {
  chats: Chat[];
  people: Record<string, Person[]>;
  gateway: Gateway;
  frames: Frame[];
  faults: string[];
  commands: Command[];
  agent: Agent | null;
  stderr: string[] | null;
  dropped: number;
  inspector?: string | null;
}

export type Update =
  | { change: "chat"; chat: ChatHead; after: string | null }
  | { change: "message"; chat: string; message: Message }
  | { change: "gone"; chat: string; message: string }
  | { change: "people"; platform: string; people: Person[] }
  | { change: "gateway"; gateway: Gateway }
  | { change: "frame"; frame: Frame }
  | { change: "faults"; faults: string[] }
  | { change: "commands"; commands: Command[] }
  | { change: "agent"; agent: Agent }
  | { change: "stderr"; lines: string[] };

/** Maximum numbers that the page keeps, as the program does. */
const MOST_FRAMES = 200;
const MOST_LINES = 300;

/** Returns the state after a change. Parts that did not change stay the same objects. */
export function apply(state: Snapshot, update: Update): Snapshot {
  switch (update.change) {
    case "chat": {
      const known = state.chats.find((chat) => chat.key === update.chat.key);
      const chat: Chat = { ...update.chat, messages: known?.messages ?? [] };
      if (known) return { ...state, chats: state.chats.map((other) => (other === known ? chat : other)) };
      const at = state.chats.findIndex((other) => other.key === update.after) + 1;
      return { ...state, chats: [...state.chats.slice(0, at), chat, ...state.chats.slice(at)] };
    }
    case "message":
      return withMessages(state, update.chat, (messages) => {
        const at = messages.findLastIndex((known) => known.key === update.message.key);
        if (at < 0) return [...messages, update.message];
        return messages.with(at, update.message);
      });
    case "gone":
      return withMessages(state, update.chat, (messages) => messages.filter((known) => known.key !== update.message));
    case "people":
      return { ...state, people: { ...state.people, [update.platform]: update.people } };
    case "gateway":
      return { ...state, gateway: update.gateway };
    case "frame":
      return { ...state, frames: [...state.frames, update.frame].slice(-MOST_FRAMES) };
    case "faults":
      return { ...state, faults: update.faults };
    case "commands":
      return { ...state, commands: update.commands };
    case "agent":
      return { ...state, agent: update.agent };
    case "stderr":
      return { ...state, stderr: [...(state.stderr ?? []), ...update.lines].slice(-MOST_LINES) };
    default:
      return state;
  }
}

function withMessages(state: Snapshot, key: string, change: (messages: Message[]) => Message[]): Snapshot {
  const change_ = (chat: Chat) => (chat.key === key ? { ...chat, messages: change(chat.messages) } : chat);
  return { ...state, chats: state.chats.map(change_) };
}

/** A message with the replies of its thread. */
export interface Thread {
  root: Message;
  replies: Message[];
}

/** Groups messages by thread, in the order of their roots. A reply whose root is not there stands alone. */
export function threads(messages: Message[]): Thread[] {
  const found: Thread[] = [];
  const byRoot = new Map<string, Thread>();
  for (const message of messages) {
    const thread = message.thread === undefined ? undefined : byRoot.get(message.thread);
    if (thread) {
      thread.replies.push(message);
    } else {
      const begun = { root: message, replies: [] };
      found.push(begun);
      byRoot.set(message.key, begun);
    }
  }
  return found;
}

/** Time after which a typing sign that was not renewed ends. */
const TYPING_MS = 12_000;

export function isTyping(chat: ChatHead): boolean {
  return chat.typing !== undefined && Date.now() - chat.typing[1] < TYPING_MS;
}

const PLATFORMS: Record<string, string> = { discord: "Discord", telegram: "Telegram", slack: "Slack" };

export function platformName(platform: string): string {
  return PLATFORMS[platform] ?? platform;
}

/** Returns a time of day: `21:07`, with seconds where wanted. */
export function timeOfDay(at: number, seconds = false): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
}
