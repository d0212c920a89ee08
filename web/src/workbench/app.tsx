// The workbench: header, faults, chats, conversation, and what happens behind them.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count } from "../shared/format";
import { Logo } from "../shared/logo";
import { type LinkState, postAction } from "../shared/program";
import { ThemeButton } from "../shared/theme";
import { ChatList } from "./chat-list";
import { Conversation } from "./conversation";
import { type Agent, type Gateway, type Snapshot, isTyping } from "./model";
import { SidePane } from "./side-pane";
import { Faults } from "./faults";

export type Act = (action: Record<string, unknown>) => Promise<boolean>;

export function App({ state, link }: { state: Snapshot; link: LinkState }) {
  const [chosen, choose] = useState(() => decodeURIComponent(location.hash.slice(1)));
  const [problem, setProblem] = useState("");
  const chat = state.chats.find((known) => known.key === chosen) ?? state.chats[0];
  const seen = useRef(new Map<string, string>());

  const act: Act = useCallback(async (action) => {
    const found = await postAction(action);
    setProblem(found ?? "");
    return found === undefined;
  }, []);

  const open = useCallback((key: string) => {
    choose(key);
    history.replaceState(null, "", `#${encodeURIComponent(key)}`);
  }, []);

  const unread = useMemo(() => {
    const counts = new Map<string, number>();
    for (const known of state.chats) {
      const last = known.messages.at(-1)?.key ?? "";
      if (known.key === chat?.key) {
        seen.current.set(known.key, last);
      } else {
        const at = known.messages.findLastIndex((message) => message.key === seen.current.get(known.key));
        const news = known.messages.slice(at + 1).filter((message) => message.author.kind === "agent");
        if (news.length > 0) counts.set(known.key, news.length);
      }
    }
    return counts;
  }, [state.chats, chat?.key]);

  useEffect(() => {
    const turn = (event: KeyboardEvent) => {
      if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
      event.preventDefault();
      const at = state.chats.findIndex((known) => known.key === chat?.key);
      const next = state.chats.at((at + (event.key === "ArrowDown" ? 1 : -1)) % state.chats.length);
      if (next) open(next.key);
    };
    addEventListener("keydown", turn);
    return () => removeEventListener("keydown", turn);
  }, [state.chats, chat?.key, open]);

  // Typing signs end by themselves.
  const [, tick] = useState(0);
  const isAnyTyping = state.chats.some(isTyping);
  useEffect(() => {
    if (!isAnyTyping) return undefined;
    const timer = setInterval(() => tick((ticks) => ticks + 1), 1000);
    return () => clearInterval(timer);
  }, [isAnyTyping]);

  useEffect(() => {
    document.title = chat ? `${chat.name} · relayline workbench` : "relayline workbench";
  }, [chat?.name]);

  return (
    <div class="app">
      <a class="skip" href="#text" onClick={focusComposer}>
        To the message
      </a>
      <header>
        <div class="top">
          <Logo />
          <h1>Workbench</h1>
          <div class="chips">
            <GatewayChip gateway={state.gateway} />
            {state.agent && <AgentChip agent={state.agent} act={act} />}
          </div>
          <div class="tools">
            {state.inspector && (
              <a class="button quiet" href={state.inspector}>
                Frames
              </a>
            )}
            <ThemeButton />
          </div>
        </div>
        <Faults on={state.faults} act={act} />
      </header>
      <Banners state={state} link={link} problem={problem} dismiss={() => setProblem("")} />
      <div class="columns">
        <ChatList state={state} chosen={chat?.key ?? ""} unread={unread} open={open} act={act} />
        {chat && <Conversation key={chat.key} chat={chat} state={state} act={act} open={open} />}
        <SidePane state={state} />
      </div>
    </div>
  );
}

function focusComposer(event: Event) {
  event.preventDefault();
  document.getElementById("text")?.focus();
}

const GATEWAY_STATES: Record<Gateway["state"], [tone: string, text: string]> = {
  away: ["warning", "not connected"],
  dialed: ["note", "handshaking"],
  connected: ["well", "connected"],
  idle: ["note", "idle: the connector buffers"],
  refused: ["error", "refused"],
};

function GatewayChip({ gateway }: { gateway: Gateway }) {
  const [tone, text] = gateway.has_ended ? ["error", "revoked, ended"] : GATEWAY_STATES[gateway.state];
  return (
    <span class={`chip is-${tone}`} role="status">
      <span class="dot" aria-hidden="true" />
      <span class="soft">gateway</span> {text}
    </span>
  );
}

const AGENT_STATES: Record<Agent["state"], [tone: string, text: string]> = {
  starting: ["note", "starting"],
  running: ["well", "running"],
  crashed: ["error", "ended"],
};

function AgentChip({ agent, act }: { agent: Agent; act: Act }) {
  const [tone, text] = AGENT_STATES[agent.state];
  const title = agent.why && `${count(agent.starts, "start")}; the last: ${agent.why}`;
  return (
    <span class={`chip is-${tone}`} role="status" title={title}>
      <span class="dot" aria-hidden="true" />
      <span class="soft">agent</span> <bdi class="program">{agent.program.split("/").at(-1)}</bdi> {text}
      {agent.can_restart && (
        <button type="button" class="in-chip" onClick={() => void act({ do: "restart_agent" })} aria-label="Restart the agent">
          Restart
        </button>
      )}
    </span>
  );
}

function Banners({
  state,
  link,
  problem,
  dismiss,
}: {
  state: Snapshot;
  link: LinkState;
  problem: string;
  dismiss: () => void;
}) {
  const { agent, gateway, stderr } = state;
  return (
    <section class="banners" aria-live="polite" aria-label="What is wrong">
      {link !== "open" && (
        <p class="banner is-error">
          {link === "connecting"
            ? "The program does not answer. This page waits for it."
            : "The program has ended, or was started again: open the URL that it prints."}
        </p>
      )}
      {gateway.has_ended ? (
        <p class="banner is-error">
          The gateway was revoked and has ended, as <code>relayline run</code> ends with exit code 3. Turn “Revoke” off to start
          it again.
        </p>
      ) : (
        gateway.dials > 0 &&
        (gateway.state === "away" || gateway.state === "refused") && (
          <p class="banner is-warning">
            The gateway is not connected{ending(gateway)}. What users write waits in the connector's buffer
            {gateway.buffered > 0 && ` (${gateway.buffered} now)`}.
          </p>
        )
      )}
      {agent?.state === "crashed" && (
        <div class="banner is-error">
          <p>
            The agent: {agent.why}. It starts again when a file changes, or by “Restart”. Messages wait for it.
          </p>
          {stderr && stderr.length > 0 && (
            <pre tabIndex={0} aria-label="Last lines of the agent's stderr">
              {stderr.slice(-8).join("\n")}
            </pre>
          )}
        </div>
      )}
      {problem && (
        <p class="banner is-error">
          {problem}
          <button type="button" class="quiet" onClick={dismiss}>
            Close
          </button>
        </p>
      )}
    </section>
  );
}

function ending({ last_end: end }: Gateway): string {
  if (!end) return "";
  const code = end.code === null ? "cut without a close frame" : `closed with ${end.code}${end.reason && ` “${end.reason}”`}`;
  return `: ${code}${end.by === "peer lost" ? "" : ` by the ${end.by}`}`;
}
