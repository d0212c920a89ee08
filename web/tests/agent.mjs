// An agent for tests: echoes each message, after a short wait; "burst N" makes N answers, "quiet" none.

import { createInterface } from "node:readline";

let next = 0;
const write = (op) => process.stdout.write(`${JSON.stringify(op)}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  if (event.event !== "message") continue;
  const { chat_id, platform } = event.message.source;
  const { text } = event.message;
  if (event.buffered) write({ op: "ack", delivery: event.delivery });
  if (text === "quiet") continue;
  const times = Number(/^burst (\d+)$/.exec(text)?.[1] ?? 1);
  for (let time = 0; time < times; time += 1) {
    next += 1;
    write({ op: "send", id: `s${next}`, chat_id, platform, content: `echo ${time}: ${text}` });
  }
}
