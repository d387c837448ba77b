"""Anthropic's official Python client against the models' door. Arguments: BASE_URL TOKEN CHECK"""
import sys

import anthropic

TOOL = {"name": "get_weather", "description": "The weather of a city.", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def same(got: object, expected: object) -> None:
    if got != expected:
        sys.exit(f"expected {expected!r}, got {got!r}")


def messages(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model="claude/gpt-test", max_tokens=100, messages=[{"role": "user", "content": "hi"}])
    same((answer.content[0].text, answer.stop_reason, answer.usage.output_tokens), ("You said: hi", "end_turn", 7))


def stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="claude/gpt-test", max_tokens=100, messages=[{"role": "user", "content": "hi"}]) as stream:
        same("".join(stream.text_stream), "You said: hi")


def tools(client: anthropic.Anthropic) -> None:
    talk = [{"role": "user", "content": "weather in Paris?"}]
    with client.messages.stream(model="claude/gpt-test", max_tokens=100, messages=talk, tools=[TOOL]) as stream:
        answer = stream.get_final_message()
    call = answer.content[0]
    same((answer.stop_reason, call.input), ("tool_use", {"city": "Paris"}))
    talk += [{"role": "assistant", "content": [call.model_dump(include={"type", "id", "name", "input"})]},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}]
    same(client.messages.create(model="claude/gpt-test", max_tokens=100, messages=talk, tools=[TOOL]).content[0].text, "It is sunny.")


def errors(client: anthropic.Anthropic) -> None:
    client = client.with_options(max_retries=0)
    talk = [{"role": "user", "content": "hi"}]
    for kind, model in [(anthropic.NotFoundError, "nobody/knows"), (anthropic.RateLimitError, "claude/limited"), (anthropic.BadRequestError, "claude/wrong"), (anthropic.BadRequestError, "chat/gpt-test")]:
        try:
            client.messages.create(model=model, max_tokens=10, messages=talk)
            sys.exit(f"{model}: no error")
        except kind:
            pass


def main(base: str, token: str, check: str) -> None:
    # the client puts /v1 before each path itself
    globals()[check](anthropic.Anthropic(base_url=base.removesuffix("/v1"), api_key=token, default_headers={"anthropic-beta": "test-beta"}))
    print("as it should be")


main(*sys.argv[1:4])
