// An agent for the tests: it answers a word by the op that the word names, and any other text by an echo.

import { createInterface } from "node:readline";

const write = (op) => process.stdout.write(`${JSON.stringify(op)}\n`);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Prefix of answers; tests change this file. */
const NAME = "echo";

async function answer({ delivery, buffered, message }) {
  const { chat_id, platform, thread_id } = message.source;
  const place = { chat_id, platform, ...(thread_id && { metadata: { thread_id } }) };
  const text = message.text ?? "";
  const word = text.replace(/^\//, "").split(" ")[0];
  if (word === "ask") {
    const options = [
      { id: "yes", label: "Ship it", style: "primary" },
      { id: "no", label: "Not <b>yet</b>", style: "danger" },
    ];
    write({ op: "prompt", ...place, prompt_kind: "approval", content: "Deploy version 2.4 to production?", options });
  } else if (word === "stream") {
    const words = "Three things matter here: the order of messages, the acks, and what happens when the line drops.".split(" ");
    for (let count = 3; count <= words.length; count += 3) {
      write({ op: "stream", stream: `s${delivery}`, delivery, text: words.slice(0, count).join(" ") });
      await wait(400);
    }
    write({ op: "stream", stream: `s${delivery}`, delivery, text: words.join(" "), final: true });
  } else if (word === "steps") {
    const step = (id, title, status) => ({ id, title, status });
    write({ op: "task_card", delivery, chunks: [step("a", "Read the log", "completed"), step("b", "Find the cause", "in_progress"), step("c", "Write the answer", "pending")] });
  } else if (word === "thread") {
    write({ op: "thread_create", ...place, thread_name: "Follow-up" });
  } else if (word === "react") {
    write({ op: "react", ...place, message_id: message.message_id, emoji: "👍" });
  } else if (word === "edit") {
    write({ op: "send", id: `edit:${chat_id}:${platform}`, ...place, content: "first version" });
  } else if (word === "crash") {
    process.stderr.write("Traceback: the answer is not 42\n");
    process.exitCode = 3;
    process.exit();
  } else if (word === "hostile") {
    write({ op: "send", ...place, content: `<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script> \u202Eevil\u202C ${"w".repeat(1900)}` });
  } else if (word === "typing") {
    write({ op: "typing", ...place, content: "reading the <i>manual</i>" });
  } else if (word === "image") {
    write({ op: "send_media", ...place, media_kind: "image", path: process.env.TEST_IMAGE, content: "As a picture" });
  } else if (message.media) {
    const { filename, size, kind } = message.media[0];
    write({ op: "reply", delivery, content: `got ${kind} ${filename}, ${size} bytes` });
  } else {
    write({ op: "reply", delivery, content: `${NAME}: ${text}` });
  }
  if (buffered) write({ op: "ack", delivery });
}

process.stderr.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  if (event.event === "message") void answer(event);
  if (event.event === "prompt_answer") {
    const { chat_id, platform, user_name } = event.source;
    write({ op: "send", chat_id, platform, content: `${user_name} chose ${event.option_id}` });
    if (event.buffered) write({ op: "ack", delivery: event.delivery });
  }
  if (event.event === "interrupt") write({ op: "send", chat_id: event.chat_id, content: "interrupted" });
  if (event.event === "result" && event.id?.startsWith("edit:")) {
    const [, chat_id, platform] = event.id.split(":");
    write({ op: "edit", chat_id, platform, message_id: event.result.message_id, content: "second version" });
  }
}
