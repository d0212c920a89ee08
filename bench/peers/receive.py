#!/usr/bin/env python3
"""Gateway in Python for events: receives them, drops duplicates, remembers their chats, and reports as bench-peer does.

Usage: receive.py PORT WARM_UP COUNT. Needs the package websockets.
"""

import asyncio
import json
import sys
import time
from collections import deque

from websockets.asyncio.client import connect

MAX_SEEN = 4096
HELLO = '{"type":"hello","platform":"discord","botId":"1"}\n'


async def main(port, warm_up, count):
    seen, oldest_first, chats = set(), deque(), {}
    number = 0
    # The connector offers no compression.
    async with connect(f"ws://127.0.0.1:{port}/relay", compression=None) as socket:
        await socket.send(HELLO)
        async for line in socket:
            frame = json.loads(line)
            if frame["type"] != "inbound":
                continue
            event = frame["event"]
            message_id = event["message_id"]
            if message_id in seen:
                continue
            seen.add(message_id)
            oldest_first.append(message_id)
            if len(oldest_first) > MAX_SEEN:
                seen.remove(oldest_first.popleft())
            source = event["source"]
            chats[source["chat_id"]] = (source.get("guild_id"), source.get("user_id"), source.get("chat_type"))
            number += 1
            if number == warm_up:
                wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            elif number == warm_up + count:
                wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
                print(json.dumps({"count": count, "wall_ns": wall, "cpu_ns": cpu}), flush=True)
                return


asyncio.run(main(*map(int, sys.argv[1:])))
