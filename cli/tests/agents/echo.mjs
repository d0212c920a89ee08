// Agent on the TypeScript SDK of ACP (npm `@agentclientprotocol/sdk`): echoes a text, after one step and one question.

import { Readable, Writable } from "node:stream";
import * as acp from "@agentclientprotocol/sdk";

const agent = acp.agent({ name: "echo" });
agent.onRequest(acp.methods.agent.initialize, async () => ({ protocolVersion: acp.PROTOCOL_VERSION }));
agent.onRequest(acp.methods.agent.session.new, async () => ({ sessionId: "node-1" }));
agent.onRequest(acp.methods.agent.session.prompt, async ({ params, client }) => {
  const { sessionId, prompt } = params;
  const update = (update) => client.notify(acp.methods.client.session.update, { sessionId, update });
  await update({ sessionUpdate: "tool_call", toolCallId: "t", title: "Echoing" });
  const answer = await client.request(acp.methods.client.session.requestPermission, {
    sessionId,
    toolCall: { toolCallId: "t", title: "Echo" },
    options: [{ optionId: "go", name: "Go", kind: "allow_once" }],
  });
  const text = prompt.map((block) => block.text ?? "").join("");
  for (const chunk of ["node: ", text, ` (${answer.outcome.outcome})`]) {
    await update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text: chunk } });
  }
  return { stopReason: "end_turn" };
});
agent.connect(acp.ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
