"""OpenAI's official Python client against the models' door. Arguments: BASE_URL TOKEN CHECK [MODEL]

Each check is a function below; it ends with a message where something is not as it should be.
"""
import json
import sys

import openai

TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}]
FLAT = [{"type": "function", **TOOLS[0]["function"], "strict": False}]


def same(got: object, expected: object) -> None:
    if got != expected:
        sys.exit(f"expected {expected!r}, got {got!r}")


def chat(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": "hi ä"}])
    answer = whole.parse()
    same(answer.choices[0].message.content, "You said: hi ä")
    same(answer.choices[0].finish_reason, "stop")
    same(answer.usage.total_tokens, 18)
    same(whole.headers["x-cella-run"].startswith("r-"), True)


def chat_stream(client: openai.OpenAI, model: str) -> None:
    messages = [{"role": "user", "content": "hi there"}]
    text = ""
    for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
        # without include_usage each chunk has a choice, and much code relies on it
        text += chunk.choices[0].delta.content or ""
    same(text, "You said: hi there")
    last = None
    stream = client.chat.completions.create(model=model, messages=messages, stream=True, stream_options={"include_usage": True})
    for last in stream:
        pass
    same((last.choices, last.usage.total_tokens), ([], 18))


def chat_tools(client: openai.OpenAI, model: str, streamed: bool = False) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "weather in Paris?"}]
    if streamed:
        with client.chat.completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, tool_choice="auto").choices[0].message
    call = message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    messages += [message.model_dump(exclude_none=True, exclude={"parsed"}), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    messages[-2]["tool_calls"] = [{"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}]
    final = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    same(final.choices[0].message.content, "It is sunny.")


def chat_tools_stream(client: openai.OpenAI, model: str) -> None:
    chat_tools(client, model, streamed=True)


def responses(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, input="hi there", instructions="Be brief.")
    same((answer.output_text, answer.status, answer.usage.total_tokens), ("You said: hi there", "completed", 18))


def responses_stream(client: openai.OpenAI, model: str) -> None:
    text, kinds = "", []
    for event in client.responses.create(model=model, input="hi there", stream=True):
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    same((text, kinds[0], kinds[-1]), ("You said: hi there", "response.created", "response.completed"))
    with client.responses.stream(model=model, input="hi there") as stream:
        for _ in stream:
            pass
        same(stream.get_final_response().output_text, "You said: hi there")


def responses_tools(client: openai.OpenAI, model: str) -> None:
    talk = [{"role": "user", "content": "weather in Paris?"}]
    answer = client.responses.create(model=model, input=talk, tools=FLAT)
    call = next(item for item in answer.output if item.type == "function_call")
    same(json.loads(call.arguments), {"city": "Paris"})
    talk += [{"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
             {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    same(client.responses.create(model=model, input=talk, tools=FLAT).output_text, "It is sunny.")
    with client.responses.stream(model=model, input=talk[:1], tools=FLAT) as stream:
        kinds = [event.type for event in stream]
    same("response.function_call_arguments.done" in kinds, True)


def shaped(client: openai.OpenAI, model: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}}}
    shape = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "?"}], response_format=shape)
    same(json.loads(answer.choices[0].message.content)["celsius"], 21)


def embeddings(client: openai.OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input=["a", "b"], encoding_format="float")
    same([entry.embedding for entry in answer.data], [[0.25, -0.5, 1.0]] * 2)


def models(client: openai.OpenAI, model: str) -> None:
    names = [entry.id for entry in client.models.list()]
    same([name for name in ("clerk", "chat/gpt-test", "claude/gpt-test") if name not in names], [])
    same(client.models.retrieve("clerk").owned_by, "cella")


def errors(client: openai.OpenAI, model: str) -> None:
    provider = model.split("/")[0]
    talk = [{"role": "user", "content": "hi"}]

    def refused(kind: type, model: str, **more: object) -> openai.APIStatusError:
        try:
            client.with_options(max_retries=0).chat.completions.create(model=model, messages=talk, **more)
        except kind as error:
            return error
        sys.exit(f"{model}: no {kind.__name__}")

    limited = refused(openai.RateLimitError, f"{provider}/limited")
    same((limited.code, limited.response.headers["retry-after"]), ("rate_limit_exceeded", "1"))
    same(refused(openai.RateLimitError, f"{provider}/poor").code, "insufficient_quota")
    same(refused(openai.BadRequestError, f"{provider}/wrong").code, "weird")
    same(refused(openai.InternalServerError, f"{provider}/broken").status_code, 500)
    locked = refused(openai.InternalServerError, f"{provider}/locked")
    same((locked.status_code, locked.response.headers["x-should-retry"]), (502, "false"))
    same(refused(openai.InternalServerError, f"{provider}/page").status_code, 502)
    same(refused(openai.NotFoundError, "nobody/knows").code, "model_not_found")
    same(refused(openai.RateLimitError, f"{provider}/limited", stream=True).status_code, 429)
    same(refused(openai.BadRequestError, "").param, "model")
    try:
        openai.OpenAI(base_url=client.base_url, api_key="wrong", max_retries=0).models.list()
        sys.exit("a wrong key was let in")
    except openai.AuthenticationError:
        pass
    try:
        for _ in client.with_options(max_retries=0).chat.completions.create(model=f"{provider}/cut", messages=talk, stream=True):
            pass
        sys.exit("a cut stream looked whole")
    except openai.APIError as error:
        same("broke off" in str(error), True)


def retried(client: openai.OpenAI, model: str) -> None:
    """The official client tries again by itself where that may help, and not where it cannot."""
    provider = model.split("/")[0]
    try:
        client.with_options(max_retries=1).chat.completions.create(model=f"{provider}/locked", messages=[{"role": "user", "content": "hi"}])
    except openai.APIStatusError:
        pass
    try:
        client.with_options(max_retries=1).chat.completions.create(model=f"{provider}/limited", messages=[{"role": "user", "content": "hi"}])
    except openai.RateLimitError:
        pass


def budget(client: openai.OpenAI, model: str) -> None:
    """The account has 3,000 tokens: the second request of 2,000 does not fit, and an endless stream is broken off."""
    talk, account = [{"role": "user", "content": "hi"}], {"x-cella-account": "acme/small"}
    client.chat.completions.create(model="chat/gpt-test", messages=talk, max_tokens=2000, extra_headers=account)
    try:
        for _ in client.chat.completions.create(model="chat/endless", messages=talk, max_tokens=2000, stream=True, extra_headers=account):
            pass
        sys.exit("an endless stream ended")
    except openai.APIError as error:
        same("budget" in str(error), True)
    try:
        client.with_options(max_retries=0).chat.completions.create(model="chat/gpt-test", messages=talk, max_tokens=2000, extra_headers=account)
        sys.exit("a request past the budget was answered")
    except openai.RateLimitError as error:
        same((error.code, "acme/small" in str(error)), ("insufficient_quota", True))


def agent(client: openai.OpenAI, model: str) -> None:
    """An agent of the node answers like a model; its tools are the catalogue's."""
    talk = [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "weather in Paris?"}]
    answer = client.chat.completions.create(model="clerk", messages=talk)
    same(answer.choices[0].message.content, "It is sunny in Paris.")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(model="clerk", messages=talk, stream=True))
    same(text.endswith("It is sunny in Paris."), True)
    first = client.responses.create(model="clerk", input="weather in Paris?")
    same(first.output_text, "It is sunny in Paris.")
    then = client.responses.create(model="clerk", input="and now?", previous_response_id=first.id)
    same((then.output_text, then.id != first.id), ("You said: and now?", True))


def once(client: openai.OpenAI, model: str) -> None:
    """Under one key there is one run, however often it is asked for."""
    talk = [{"role": "user", "content": "weather in Paris?"}]
    runs = set()
    for _ in range(3):
        raw = client.chat.completions.with_raw_response.create(model="clerk", messages=talk, extra_headers={"Idempotency-Key": "k-1"})
        same(raw.parse().choices[0].message.content, "It is sunny in Paris.")
        runs.add(raw.headers["x-cella-run"])
    same(len(runs), 1)


def main(base: str, token: str, check: str, model: str = "chat/gpt-test") -> None:
    globals()[check](openai.OpenAI(base_url=base, api_key=token, timeout=60), model)
    print("as it should be")


main(*sys.argv[1:5])
