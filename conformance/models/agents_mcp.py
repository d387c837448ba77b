"""An MCP client that gives an agent a task and answers what it asks. Arguments: MODE (auto or legacy) URL TOKEN ANSWER (yes, no or mute)"""
import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult


async def main(mode: str, url: str, token: str, answer: str, agents: str = "careful,clerk") -> None:
    asked: list[str] = []

    async def elicited(context: object, params: object) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": answer == "yes", "why": "not today"})

    more = {} if answer == "mute" else {"elicitation_callback": elicited}
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode, **more) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert set(agents.split(",")) <= tools, tools
            assert "clerk" in agents or "clerk" not in tools, tools
            result = await client.call_tool("careful", {"task": "weather in Paris?"})
            print("final:", result.content[0].text)
            print("asked:", len(asked), asked[0] if asked else "")


asyncio.run(main(*sys.argv[1:6]))
