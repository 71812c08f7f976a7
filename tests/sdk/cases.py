"""What callers do with the official Python SDK: `cases.py BASE_URL KEY`.

Prints one JSON list, a case each: the events or the error that the SDK gave to its caller, and how
many requests it sent. The same script runs against a provider and against Serin in front of it; a
story compares the two. Nothing here knows which of them answers. `cases.cjs` has the same cases.
"""

import json
import sys

import openai

QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place.",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    },
}
CALLED = [
    *QUESTION,
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
]


def main(base_url, key):
    print(json.dumps([run(base_url, key, case) for case in CASES]))


def run(base_url, key, case):
    """One case with a client of its own; the SDK's defaults for retries hold."""
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    if case is wrong_key:
        key = "sk-nobody-has-this-key"
    events, error = [], None
    with openai.OpenAI(base_url=base_url, api_key=key, http_client=http, timeout=60) as client:
        try:
            for event in case(client):
                events.append(event.to_dict(mode="json"))
        except openai.OpenAIError as raised:
            error = told(raised)
    return {"name": case.__name__, "events": events, "error": error, "requests": len(sent)}


def told(error):
    """What the caller's program can see of an error."""
    response = getattr(error, "response", None)
    return {
        "class": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "type": getattr(error, "type", None),
        "param": getattr(error, "param", None),
        "message": str(error),
        "shouldRetry": response.headers.get("x-should-retry") if response is not None else None,
    }


def chat(client):
    yield client.chat.completions.create(model="plain", messages=QUESTION)


def chat_with_unknown_field(client):
    extra = {"serin_unknown": {"a": [1, 2.50, None]}}
    yield client.chat.completions.create(model="plain", messages=QUESTION, extra_body=extra)


def chat_stream(client):
    yield from client.chat.completions.create(model="plain", messages=QUESTION, stream=True)


def chat_stream_with_usage(client):
    yield from client.chat.completions.create(
        model="plain", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )


def reasoning_stream(client):
    yield from client.chat.completions.create(model="thinker", messages=QUESTION, stream=True)


def tool_call(client):
    yield client.chat.completions.create(model="plain", messages=QUESTION, tools=[TOOL])


def tool_call_stream(client):
    yield from client.chat.completions.create(
        model="plain", messages=QUESTION, tools=[TOOL], stream=True
    )


def tool_result(client):
    yield client.chat.completions.create(model="plain", messages=CALLED, tools=[TOOL])


def completion(client):
    yield client.completions.create(model="plain", prompt="Once upon a time")


def completion_stream(client):
    yield from client.completions.create(model="plain", prompt="Once upon a time", stream=True)


def embeddings(client):
    yield client.embeddings.create(model="plain", input=["one text", "another"])


def models(client):
    yield from client.models.list()


def model(client):
    yield client.models.retrieve("plain")


def no_such_model(client):
    yield client.models.retrieve("nothing-of-that-name")


def wrong_key(client):
    yield client.chat.completions.create(model="plain", messages=QUESTION)


def unknown_model(client):
    yield client.chat.completions.create(model="nothing-of-that-name", messages=QUESTION)


def unknown_model_stream(client):
    yield from client.chat.completions.create(
        model="nothing-of-that-name", messages=QUESTION, stream=True
    )


def refused_by_the_provider(client):
    yield client.chat.completions.create(model="picky", messages=QUESTION)


def error_in_the_stream(client):
    yield from client.chat.completions.create(model="fragile", messages=QUESTION, stream=True)


def always_429(client):
    yield client.chat.completions.create(model="busy", messages=QUESTION)


def always_500(client):
    yield client.chat.completions.create(model="broken", messages=QUESTION)


def always_503(client):
    yield client.chat.completions.create(model="down", messages=QUESTION)


def always_503_stream(client):
    yield from client.chat.completions.create(model="down", messages=QUESTION, stream=True)


CASES = [
    chat,
    chat_with_unknown_field,
    chat_stream,
    chat_stream_with_usage,
    reasoning_stream,
    tool_call,
    tool_call_stream,
    tool_result,
    completion,
    completion_stream,
    embeddings,
    models,
    model,
    no_such_model,
    wrong_key,
    unknown_model,
    unknown_model_stream,
    refused_by_the_provider,
    error_in_the_stream,
    always_429,
    always_500,
    always_503,
    always_503_stream,
]

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
