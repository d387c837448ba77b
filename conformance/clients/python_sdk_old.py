"""The Python SDK of the 1.x line as a client: lists every tool, calls one, prints one JSON line.

Arguments: URL TOKEN TOOL ARGUMENTS
"""
import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url: str, token: str, tool: str, arguments: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with streamablehttp_client(url, headers=headers) as (reader, writer, _):
        async with ClientSession(reader, writer) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            answer = await session.call_tool(tool, json.loads(arguments))
            print(json.dumps({"tools": [t.name for t in tools], "text": answer.content[0].text}))


asyncio.run(main(*sys.argv[1:5]))
