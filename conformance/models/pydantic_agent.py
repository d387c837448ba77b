"""pydantic-ai: its model is reached through the models' door, its tools through the MCP door. Arguments: BASE_URL TOKEN MCP_URL"""
import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main(base: str, token: str, mcp: str) -> None:
    model = OpenAIChatModel("chat/gpt-test", provider=OpenAIProvider(base_url=base, api_key=token))
    server = MCPToolset(mcp, headers={"Authorization": f"Bearer {token}"})
    agent = Agent(model, toolsets=[server], instructions="Use the tools.")
    async with agent:
        result = await agent.run("weather in Paris?")
        print("final:", result.output)
        async with agent.run_stream("weather in Paris?") as streamed:
            print("final:", await streamed.get_output())


asyncio.run(main(*sys.argv[1:4]))
