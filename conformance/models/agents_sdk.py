"""OpenAI's Agents SDK: its model is reached through the models' door, its tools through the MCP door. Arguments: BASE_URL TOKEN MCP_URL API"""
import asyncio
import sys

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai import AsyncOpenAI


async def main(base: str, token: str, mcp: str, api: str) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=base, api_key=token)
    model = OpenAIResponsesModel("responses/gpt-test", client) if api == "responses" else OpenAIChatCompletionsModel("chat/gpt-test", client)
    params = {"url": mcp, "headers": {"Authorization": f"Bearer {token}"}}
    async with MCPServerStreamableHttp(params=params, cache_tools_list=True) as server:
        agent = Agent(name="weather", instructions="Use the tools.", model=model, mcp_servers=[server])
        result = await Runner.run(agent, "weather in Paris?")
        print("final:", result.final_output)
        streamed = Runner.run_streamed(agent, "weather in Paris?")
        async for _ in streamed.stream_events():
            pass
        print("final:", streamed.final_output)


asyncio.run(main(*sys.argv[1:5]))
