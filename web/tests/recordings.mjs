// Recordings for the tests: planted problems, hostile texts, and a long session.

const DESCRIPTOR = {
  type: "descriptor",
  descriptor: {
    contract_version: 1,
    platform: "discord",
    label: "Discord",
    max_message_length: 2000,
    supports_draft_streaming: false,
    supports_edit: true,
    supports_threads: true,
    markdown_dialect: "discord",
    len_unit: "utf16",
    supported_ops: ["send", "edit", "typing", "react"],
  },
};
const HELLO = { type: "hello", platform: "discord", botId: "1187654321098765432" };

/** Writer of a recording of the wire. */
class Recording {
  constructor(title, note = "") {
    const header = { relay_session: 1, title, recorded_from: "relayline record", note, gateway: {}, started_unix_ms: 1795000000000 };
    this.lines = [JSON.stringify(header)];
    this.dials = 0;
    this.ids = 0;
  }

  line(t_ms, dir, fields) {
    this.lines.push(JSON.stringify({ t_ms, dir, ...fields }));
    return this;
  }

  dial(t) {
    this.dials += 1;
    return this.line(t, "connect", {
      url_path: "/relay",
      dial: this.dials,
      gateway_id: "gw-1",
      headers: { authorization: "Bearer <hidden>", host: "connector.example" },
    });
  }

  gateway(t, frame) {
    return this.text(t, "gateway", `${JSON.stringify(frame)}\n`);
  }

  connector(t, frame) {
    return this.text(t, "connector", `${JSON.stringify(frame)}\n`);
  }

  text(t, dir, data) {
    return this.line(t, dir, { data, dial: this.dials });
  }

  connected(t) {
    return this.dial(t)
      .gateway(t + 30, HELLO)
      .connector(t + 42, DESCRIPTOR);
  }

  inbound(t, text, { chat = "C-100", user = "Ada", buffer } = {}) {
    this.ids += 1;
    const source = { platform: "discord", chat_id: chat, chat_type: "group", user_id: "42", user_name: user, scope_id: "G-1" };
    const event = { text, message_type: "text", message_id: `m-${this.ids}`, source };
    return this.connector(t, { type: "inbound", event, ...(buffer && { bufferId: buffer }) });
  }

  ack(t, buffer) {
    return this.gateway(t, { type: "inbound_ack", bufferId: buffer });
  }

  request(t, id, action) {
    return this.gateway(t, { type: "outbound", requestId: id, platform: "discord", botId: HELLO.botId, action });
  }

  send(t, id, content, { chat = "C-100", notify = true } = {}) {
    const metadata = { scope_id: "G-1", guild_id: "G-1", user_id: "42", ...(notify && { notify: true }) };
    return this.request(t, id, { op: "send", chat_id: chat, content, reply_to: null, metadata });
  }

  result(t, id, result) {
    return this.connector(t, { type: "outbound_result", requestId: id, result });
  }

  close(t, by, code, reason = "") {
    return this.line(t, "close", { by, dial: this.dials, code, reason });
  }

  toString() {
    return `${this.lines.join("\n")}\n`;
  }
}

const id = (number) => number.toString(16).padStart(32, "0");

/** Returns a session with one problem of each kind that the issue names, between what works. */
export function planted() {
  const one = new Recording("Orders bot, Tuesday", "Five problems are planted in it.");
  one.connected(0);
  one.inbound(900, "is my order there yet?", { buffer: "e-1" }).ack(912, "e-1");
  one.request(930, id(1), { op: "typing", chat_id: "C-100", metadata: { scope_id: "G-1" } }).result(961, id(1), { success: true });
  one.send(2350, id(2), "It left the warehouse at noon, and arrives tomorrow.").result(2412, id(2), { success: true, message_id: "r-1" });
  // A malformed frame.
  one.text(3100, "connector", '{"type":"inbound","event":{"text":"hello, \n');
  one.inbound(4000, "can I change the address?", { chat: "C-200", user: "Grace" });
  one.send(4800, id(3), "Yes, until it is handed over. What is the new one?", { chat: "C-200" }).result(4840, id(3), { success: true, message_id: "r-2" });
  // A lost acknowledgement.
  one.inbound(6000, "thanks!", { buffer: "e-2" });
  one.send(6400, id(4), "You are welcome.").result(6450, id(4), { success: true, message_id: "r-3" });
  // A late result.
  one.inbound(20_000, "what about the second parcel?", { user: "Grace", chat: "C-200" });
  one.send(21_000, id(5), "One moment, I ask the carrier.", { chat: "C-200" });
  one.inbound(40_000, "hello?", { user: "Grace", chat: "C-200" });
  one.result(58_200, id(5), { success: true, message_id: "r-4" });
  one.close(60_000, "connector", 1001, "going away");
  // A refused token.
  one.dial(60_800).close(60_850, "connector", 4401, "unauthorized");
  one.dial(60_900).gateway(60_930, HELLO);
  // A descriptor without its newline.
  one.text(60_944, "connector", JSON.stringify(DESCRIPTOR));
  one.close(90_930, "gateway", 1000, "");
  one.connected(92_400);
  one.inbound(93_000, "are you back?", { user: "Grace", chat: "C-200" });
  one.send(93_900, id(6), "Yes. The second parcel arrives on Friday.", { chat: "C-200" }).result(93_944, id(6), { success: true, message_id: "r-5" });
  one.gateway(120_000, { type: "going_idle" }).connector(120_020, { type: "going_idle_ack" }).close(120_040, "gateway", 1000);
  return one.toString();
}

/** Returns a session with hostile texts in every field. */
export function hostile() {
  const nasty = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">';
  const turned = "\u202egnp.exe \u2066abc\u0000\u2028";
  const one = new Recording(nasty, turned);
  one.connected(0);
  one.inbound(100, nasty, { chat: nasty, user: turned, buffer: nasty }).ack(110, nasty);
  one.inbound(200, turned, { chat: turned, user: nasty });
  one.connector(300, { type: nasty, error: nasty });
  one.connector(310, { type: "error", error: { message: nasty } });
  one.send(400, nasty, `${nasty}${turned}`, { chat: nasty }).result(410, nasty, { success: false, error: nasty, code: turned });
  one.inbound(500, "x".repeat(1_000_000), { chat: "big" });
  one.text(600, "connector", `${nasty}\n`);
  one.line(650, "note", { text: nasty });
  one.line(660, nasty, { [nasty]: nasty });
  one.close(700, "connector", 4000, nasty.slice(0, 100));
  return one.toString();
}

/** Returns a session of at least this number of frames, in many chats. */
export function long(frames) {
  const one = new Recording(`${frames} frames`);
  one.connected(0);
  let t = 1000;
  for (let number = 0; one.lines.length < frames; number += 1) {
    const chat = `C-${number % 40}`;
    const buffered = number % 7 === 0 ? { buffer: `e-${number}` } : {};
    t += 11 + (number % 23);
    one.inbound(t, `message ${number}: what do you think of plan ${number % 97}?`, { chat, user: `user-${number % 12}`, ...buffered });
    if (number % 7 === 0) one.ack((t += 3), `e-${number}`);
    one.send((t += 40), id(number + 1), `answer ${number}, with some more words so that it has a usual length`, { chat });
    const isRejected = number % 997 === 0;
    one.result((t += 25), id(number + 1), isRejected ? { success: false, error: "rate limited" } : { success: true, message_id: `r-${number}` });
  }
  return one.close(t + 10, "gateway", 1000).toString();
}

// As a program: prints a session of that many frames.
if (import.meta.filename === process.argv[1]) process.stdout.write(long(Number(process.argv[2])));
