"""FastMCP's client: lists every tool, calls one, prints one JSON line. Arguments: URL TOKEN TOOL ARGUMENTS."""
import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def main(url: str, token: str, tool: str, arguments: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with Client(StreamableHttpTransport(url, headers=headers)) as client:
        tools = await client.list_tools()
        answer = await client.call_tool(tool, json.loads(arguments))
        print(json.dumps({"tools": [t.name for t in tools], "text": answer.content[0].text}))


asyncio.run(main(*sys.argv[1:5]))
