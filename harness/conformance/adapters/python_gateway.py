"""Adapter that lets `relayline conformance gateway` judge the public Python gateway.

    pip install --no-deps --target site hermes-agent==0.19.0 websockets==15.0.1 pyyaml==6.0.3
    PYTHONPATH=site relayline conformance gateway -- python3 python_gateway.py

It speaks the lines of the bridge on stdin and stdout, and drives `RelayAdapter` with `WebSocketRelayTransport`, as the
gateway's runner does. It repairs nothing, so that each finding is the gateway's. Three things are its own:

- The transport does not inform its host of ended connections and failed dials: `disconnected` has what the socket or the
  exception says.
- A result has no kind of failure. The adapter derives it from the error's text.
- `connect` that fails is called again with a new transport after thirty seconds, as the runner's watcher does.

What the gateway has no call for is answered with `{"event":"unsupported","feature":…}`, and the suite skips the scenario.
"""

import asyncio
import dataclasses
import json
import logging
import os
import sys

from gateway.config import Platform, PlatformConfig
from gateway.platforms.base import SendResult
from gateway.relay.adapter import RelayAdapter
from gateway.relay.descriptor import CONTRACT_VERSION, CapabilityDescriptor
from gateway.relay.ws_transport import WebSocketRelayTransport
from gateway.session import build_session_key
from websockets.exceptions import ConnectionClosed

# Fields of each op that is supported, besides `op` and `id`.
OPS = {
    "send": {"chat_id", "content", "reply_to", "metadata", "platform", "split"},
    "reply": {"delivery", "content", "final", "split", "metadata"},
    "edit": {"chat_id", "message_id", "content", "metadata"},
    "follow_up": {"session_key", "kind", "content", "metadata"},
    "get_chat_info": {"chat_id"},
    "capabilities": {"chat_id"},
    "raw": {"action", "platform", "bare"},
    "interrupt": {"session_key", "reason"},
    "go_idle": set(),
    "go_dormant": set(),
    "ack": {"delivery"},
    "disconnect": set(),
}
# Ops of the bridge that this gateway has no call for.
MISSING = {
    "stream", "turn", "prompt", "react", "typing", "delete", "draft", "task_card", "task_card_stop", "thread_create",
    "thread_rename", "send_media", "upload", "download", "prime", "chat", "refuse", "resume", "hold", "status",
}
# Settings that it does not have.
MISSING_SETTINGS = {"GATEWAY_RELAY_RAW_EVENTS": "raw events", "GATEWAY_RELAY_UNKNOWN_FRAMES": "unknown frames"}

# First delay of the runner's watcher.
RETRY_S = 30


def write(line):
    """Writes a line for the agent."""
    print(json.dumps(line), flush=True)


class Transport(WebSocketRelayTransport):
    """The gateway's transport, observed."""

    owner = None

    async def _dial_and_start(self):
        try:
            await super()._dial_and_start()
        except Exception as error:
            write({"event": "disconnected", "code": None, "reason": str(error), "retry_in_ms": None})
            raise

    async def _read_loop(self):
        socket = self._ws
        try:
            await super()._read_loop()
        finally:
            # The socket stays open if the reader has died of a line.
            await asyncio.sleep(0)
            write({
                "event": "disconnected",
                "code": socket.close_code,
                "reason": socket.close_reason or self.owner.last_warning,
                "retry_in_ms": None,
            })

    async def _handle_frame(self, line):
        self.owner.is_buffered = False
        descriptor = self._descriptor
        try:
            frame = json.loads(line)
            self.owner.is_buffered = bool(frame.get("bufferId"))
        except Exception:
            frame = {}  # The transport decides what to do.
        await super()._handle_frame(line)
        if frame.get("type") == "descriptor" and self._descriptor is not descriptor:
            self.owner.described(self._descriptor.platform)


class Adapter(RelayAdapter):
    """The gateway's adapter, whose agent is on the other end of the bridge."""

    owner = None

    async def handle_message(self, event):
        self.owner.message(event)

    async def on_interrupt(self, session_key, chat_id):
        write({"event": "interrupt", "session_key": session_key, "chat_id": chat_id})


class Warnings(logging.Handler):
    """Keeps the last warning of the gateway, which may say why a connection has ended."""

    def __init__(self, bridge):
        super().__init__(logging.WARNING)
        self.bridge = bridge

    def emit(self, record):
        self.bridge.last_warning = record.getMessage()


class Bridge:
    """State of the program."""

    def __init__(self):
        platforms = os.environ["GATEWAY_RELAY_PLATFORMS"].split(",")
        bots = json.loads(os.environ.get("GATEWAY_RELAY_BOT_IDS") or "{}")
        self.identities = [(platform, bots.get(platform, {}).get("botId", "")) for platform in platforms]
        self.last_warning = ""
        self.is_buffered = False
        self.is_connected = False
        self.platforms = []
        self.deliveries = {}
        self.adapter = None
        self.ended = asyncio.Event()
        self.code = 0
        logging.getLogger("gateway").addHandler(Warnings(self))

    def new_adapter(self):
        platform, bot = self.identities[0]
        transport = Transport(
            os.environ["GATEWAY_RELAY_URL"],
            platform,
            bot,
            identities=self.identities,
            gateway_id=os.environ["GATEWAY_RELAY_ID"],
            upgrade_secret=os.environ["GATEWAY_RELAY_SECRET"],
            reconnect=True,
        )
        placeholder = CapabilityDescriptor(
            contract_version=CONTRACT_VERSION, platform="relay", label="Relay", max_message_length=4096,
            supports_draft_streaming=False, supports_edit=True, supports_threads=False, markdown_dialect="plain",
            len_unit="chars",
        )
        adapter = Adapter(PlatformConfig(enabled=True), placeholder, transport=transport)
        transport.owner = adapter.owner = self
        adapter.set_fatal_error_handler(self.fatal)
        return adapter

    async def connect(self):
        """Connects, with a new adapter after each failure."""
        while True:
            self.adapter = self.new_adapter()
            try:
                if await self.adapter.connect():
                    break
                reason = self.last_warning
            except Exception as error:
                reason = str(error)
            logging.warning("connect has failed: %s", reason)
            await self.adapter._transport.disconnect()
            await asyncio.sleep(RETRY_S)
        self.is_connected = True
        self.connected()

    def described(self, platform):
        """Notes the descriptor of a platform."""
        if platform not in self.platforms:
            self.platforms.append(platform)
        if self.is_connected:
            self.connected()

    def connected(self):
        # The host knows the descriptor that the adapter has.
        write({
            "event": "connected",
            "descriptor": dataclasses.asdict(self.adapter.descriptor),
            "platforms": self.platforms,
            "authorization_is_upstream": self.adapter.authorization_is_upstream,
        })

    async def fatal(self, adapter):
        write({
            "event": "fatal",
            "code": adapter.fatal_error_code,
            "message": adapter.fatal_error_message,
            "retryable": adapter.fatal_error_retryable,
        })
        # The runner disconnects an adapter that has failed, and keeps running.
        await adapter.disconnect()

    def message(self, event):
        """Passes an event on to the agent."""
        source = event.source
        fields = {
            name: value
            for name, value in dataclasses.asdict(source).items()
            if value not in (None, "", False) and name not in ("platform", "delivered_via_upstream_relay", "guild_id")
        }
        message = {
            "text": event.text,
            "message_type": event.message_type.value,
            "message_id": event.message_id,
            "source": {"platform": source.platform.value, **fields},
            "context": event.channel_context,
            "reply_to_message_id": event.reply_to_message_id,
            "media": [{"url": url} for url in event.media_urls] if isinstance(event.media_urls, list) else None,
            "via_authenticated_relay": source.delivered_via_upstream_relay,
        }
        delivery = len(self.deliveries) + 1
        self.deliveries[delivery] = event
        write({
            "event": "message",
            "delivery": delivery,
            "buffered": self.is_buffered,
            "session_key": build_session_key(source, profile=source.profile),
            "message": {name: value for name, value in message.items() if value not in (None, [])},
        })

    async def line(self, text):
        """Carries out a line of the agent."""
        try:
            line = json.loads(text)
            name = line["op"]
        except Exception as error:
            write({"event": "invalid", "line": text, "message": f"not an op: {error!r}"})
            return
        if name in MISSING:
            write({"event": "unsupported", "feature": f"the op {name}"})
            return
        fields = {field: value for field, value in line.items() if field not in ("op", "id")}
        unknown = sorted(set(fields) - OPS.get(name, set()))
        if name not in OPS or unknown:
            message = f"unknown fields: {', '.join(unknown)}" if name in OPS else f"there is no op {name}"
            self.result(line, error={"kind": "definite", "message": message})
            return
        try:
            result = await self.op(name, fields)
        except ConnectionClosed as error:
            # The socket refuses the write.
            self.result(line, error={"kind": "definite", "message": repr(error)})
            return
        except Exception as error:
            logging.exception("%s has failed", name)
            self.result(line, error={"kind": "ambiguous", "message": repr(error)})
            return
        if isinstance(result, SendResult):
            result = dataclasses.asdict(result)
        if isinstance(result, dict) and "success" in result and not result["success"]:
            self.result(line, error={"kind": kind(result), "message": str(result.get("error"))})
        else:
            self.result(line, result=result)

    def result(self, line, **outcome):
        if "id" in line:
            write({"event": "result", "id": line["id"], "ok": "error" not in outcome, **outcome})

    async def op(self, name, fields):
        adapter, transport = self.adapter, self.adapter._transport
        metadata = fields.get("metadata") or {}
        if name == "send":
            texts = [fields["content"]]
            if fields.get("split"):
                limit, measure = adapter.MAX_MESSAGE_LENGTH, adapter.message_len_fn
                texts = adapter.truncate_message(fields["content"], limit, measure)
            for text in texts:
                result = await self.send(fields["chat_id"], text, fields.get("reply_to"), metadata, fields.get("platform"))
            return result
        if name == "reply":
            # As the base adapter delivers the answer of a turn.
            event = self.deliveries[fields["delivery"]]
            if fields.get("final", True):
                metadata = {**metadata, "notify": True}
            if event.source.thread_id:
                metadata.setdefault("thread_id", event.source.thread_id)
            return await self.send(event.source.chat_id, fields["content"], event.message_id, metadata, None)
        if name == "edit":
            return await transport.send_outbound({"op": "edit", **fields, "metadata": metadata})
        if name == "follow_up":
            return await adapter.send_follow_up(fields["session_key"], fields["kind"], fields["content"], metadata)
        if name == "get_chat_info":
            return await adapter.get_chat_info(fields["chat_id"])
        if name == "capabilities":
            return dataclasses.asdict(adapter.descriptor)
        if name == "raw":
            return await transport.send_outbound(fields["action"], platform=fields.get("platform"))
        if name == "interrupt":
            await transport.send_interrupt(fields["session_key"], fields.get("reason"))
            return {}
        if name == "go_idle":
            return {"confirmed": await transport.go_idle()}
        if name == "go_dormant":
            return {"confirmed": await adapter.go_dormant()}
        if name == "disconnect":
            await self.end()
        return {}  # The gateway acknowledges by itself: there is no call for `ack`.

    async def send(self, chat_id, content, reply_to, metadata, platform):
        if platform is None:
            return await self.adapter.send(chat_id, content, reply_to, metadata)
        # `send` of the adapter has no platform, `send_outbound` of the transport has.
        action = {"op": "send", "chat_id": chat_id, "content": content, "reply_to": reply_to, "metadata": metadata}
        return await self.adapter._transport.send_outbound(action, platform=platform)

    async def end(self):
        if not self.ended.is_set():
            await self.adapter.disconnect()
            self.ended.set()


def kind(result):
    """Returns the kind of a failure, which is only in its text."""
    error = str(result.get("error") or "")
    if result.get("ambiguous") or "timed out" in error:
        return "ambiguous"
    if "not connected" in error or "no transport" in error:
        return "definite"
    return "rejected"


async def main():
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    bridge = Bridge()
    for variable, feature in MISSING_SETTINGS.items():
        if variable in os.environ:
            write({"event": "unsupported", "feature": feature})
    connecting = asyncio.create_task(bridge.connect())
    stdin = asyncio.StreamReader(limit=16 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    tasks = set()

    async def read():
        while line := await stdin.readline():
            task = asyncio.create_task(bridge.line(line.decode("utf-8", "replace").strip()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    reading = asyncio.create_task(read())
    ending = asyncio.create_task(bridge.ended.wait())
    await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
    connecting.cancel()
    await bridge.end()
    await asyncio.sleep(0.05)  # The results of requests that the end has settled.
    sys.stdout.flush()


if __name__ == "__main__":
    if "--version" in sys.argv:
        from importlib.metadata import version

        print("hermes-agent", version("hermes-agent"))
    else:
        asyncio.run(main())
