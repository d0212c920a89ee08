// A development connector and a gateway with an agent, each a process of the program with an inspector.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { PROGRAM } from "./pages.mjs";

const HERE = import.meta.dirname;
/** Secret of the gateway gw-1. */
const SECRET = "s3cret-of-the-gateway";
/** Time limit, long enough for a busy machine. */
const SOON = 30_000;

const running = new Set();

/** Ends what a failed test has left: the tests wait for its end. */
export const stopAll = () => Promise.all([...running].map((program) => program.stop("SIGKILL")));

/** A running program whose lines can be awaited. */
export class Program {
  constructor(flags, { env = {}, cwd } = {}) {
    this.child = spawn(PROGRAM, flags, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env }, cwd });
    this.stdout = "";
    this.stderr = "";
    this.child.stdout.on("data", (data) => (this.stdout += data));
    this.child.stderr.on("data", (data) => (this.stderr += data));
    running.add(this);
    this.ended = new Promise((resolve) => this.child.once("exit", resolve)).finally(() => running.delete(this));
  }

  /** Waits for the first match in what the program has printed. */
  async find(stream, pattern) {
    const end = Date.now() + SOON;
    for (;;) {
      const found = pattern.exec(this[stream]);
      if (found) return found;
      if (Date.now() > end || this.child.exitCode !== null) {
        throw new Error(`${pattern} was not printed: ${this.stdout.slice(-2000)} ${this.stderr.slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async firstLine() {
    return (await this.find("stdout", /^(.*)\n/))[1];
  }

  async inspector() {
    return (await this.find("stderr", /inspector: (http:\S+)/))[1];
  }

  write(line) {
    this.child.stdin.write(`${JSON.stringify(line)}\n`);
  }

  /** Ends the program, and returns its exit code. */
  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }
}

/** Starts a connector and a gateway. Returns them, and the URLs of their inspectors. */
export async function startPrograms({ flags = [], connectorFlags = [], agent = "agent.mjs" } = {}) {
  const inspect = ["--inspect", "127.0.0.1:0"];
  const connector = new Program(["connector", "--gateway", `gw-1=${SECRET}`, ...inspect, ...connectorFlags]);
  const gateway = { stop: async () => {} };
  const programs = { connector, gateway };
  /** Starts another gateway. */
  const another = async (id, secret, more = []) => {
    const url = (await connector.find("stdout", /"saw":"listening","url":"([^"]+)"/))[1];
    const of = ["run", "--url", url, "--platform", "discord", "--bot-id", "1", "--gateway-id", id, "--auto-ack"];
    const exec = ["--exec", process.execPath, join(HERE, agent)];
    return new Program([...of, ...more, ...exec], { env: { GATEWAY_RELAY_SECRET: secret } });
  };
  try {
    programs.gateway = await another("gw-1", SECRET, [...inspect, ...flags]);
  } catch (error) {
    await connector.stop();
    throw error;
  }
  const say = (text, more = {}) =>
    connector.write({
      do: "inbound",
      event: { text, message_type: "text", source: { platform: "discord", chat_id: "C-1", chat_type: "channel", chat_name: "general", user_id: "U-1", user_name: "Ada", ...more } },
    });
  const stop = async () => {
    await programs.gateway.stop();
    await connector.stop();
  };
  return { ...programs, another, say, stop, gatewayPage: () => programs.gateway.inspector(), connectorPage: () => connector.inspector() };
}
