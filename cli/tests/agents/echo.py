"""Agent on the Python SDK of ACP (PyPI `agent-client-protocol`): echoes a text, after one step and one question."""

import asyncio

import acp
from acp.schema import PermissionOption, ToolCallUpdate


class Echo(acp.Agent):
    def on_connect(self, conn):
        self.client = conn

    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kwargs):
        return acp.InitializeResponse(protocol_version=protocol_version)

    async def new_session(self, cwd, additional_directories=None, mcp_servers=None, **kwargs):
        return acp.NewSessionResponse(session_id="python-1")

    async def prompt(self, session_id, prompt, **kwargs):
        text = "".join(block.text for block in prompt if block.type == "text")
        await self.client.session_update(session_id, acp.start_tool_call("t", "Echoing"))
        options = [PermissionOption(option_id="go", name="Go", kind="allow_once")]
        call = ToolCallUpdate(tool_call_id="t", title="Echo")
        answer = await self.client.request_permission(
            session_id=session_id, tool_call=call, options=options
        )
        for chunk in ("python: ", text, f" ({answer.outcome.outcome})"):
            await self.client.session_update(session_id, acp.update_agent_message_text(chunk))
        return acp.PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id, **kwargs):
        pass


asyncio.run(acp.run_agent(Echo()))
