"""The Python SDK as a client: lists every tool, calls one, prints one JSON line.

Arguments: MODE (auto or legacy) URL TOKEN TOOL ARGUMENTS
"""
import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(mode: str, url: str, token: str, tool: str, arguments: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            tools = (await client.list_tools()).tools
            answer = await client.call_tool(tool, json.loads(arguments))
            print(json.dumps({"tools": [t.name for t in tools], "text": answer.content[0].text}))


asyncio.run(main(*sys.argv[1:6]))
