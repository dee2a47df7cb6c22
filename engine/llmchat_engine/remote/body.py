"""A request as the JSON that a server is sent, and what of it no server of that kind can do.

Knows no HTTP. What the user left open is left out, so that the server's own defaults hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.remote.servers import STANDARD, Server
from llmchat_engine.sampling import resolve
from llmchat_engine.types import Message, Request, Sampling

CHAT, COMPLETIONS = "/chat/completions", "/completions"
_RAW_TOKENS = 1024
"""The longest reply to a raw prompt where none is asked for: most servers stop after 16 tokens then."""
_MOST_LIKELY = 20
"""Alternatives of a token that the OpenAI API tells at most."""
_FORBIDDEN = -100.0
"""The bias that forbids a token there; JSON has no infinity."""
_UNLISTED = ("stop", "logit_bias")


def check(request: Request, server: Server) -> None:
    """Raises where a server of this kind cannot do what is asked, before anything is sent.

    Raises:
        RequestInvalid: with what it cannot, or a sampling value out of range.
    """
    resolve(request.sampling, Sampling())
    if request.beams:
        raise RequestInvalid("a server does not search with beams", "", "leave out --beams, or take a model here")
    if not any(message.text for message in request.messages):
        raise RequestInvalid("there is nothing to ask", "every message is empty")
    if request.raw:
        return
    if goes_on(request) and not server.continues:
        raise RequestInvalid(
            f"{server.name} cannot go on with a reply that has begun",
            "it would close it and begin a new one",
            "ask again, or take a model here, llama-server or vLLM",
        )
    if request.concludes and not server.continues:
        raise RequestInvalid(
            f"{server.name} cannot answer behind a chain of thought",
            "its answer is taken by going on behind the reasoning, which this server closes",
            "ask without --cot and --votes, or take a model here, llama-server or vLLM",
        )
    if request.grammar and not server.grammar:
        raise RequestInvalid(
            f"{server.name} cannot hold an answer to a grammar", "", "use a JSON schema, or take a model here"
        )


def goes_on(request: Request) -> bool:
    """Returns whether a reply that has begun is to be continued."""
    return bool(request.messages) and request.messages[-1].role == "assistant"


def unknown_to(server: Server, request: Request) -> Iterator[str]:
    """Yields what a server leaves aside without a word, or may leave aside, for the user."""
    asked = request.sampling
    given = [
        name for name in Sampling.__dataclass_fields__ if getattr(asked, name) is not None and name not in _UNLISTED
    ]
    beside = [name for name in given if name not in STANDARD and name in server.sampling]
    unknown = [name for name in given if name not in STANDARD and name not in server.sampling]
    if request.think_budget is not None and not server.thought_budget:
        unknown.append("think_budget")
    if request.think != "auto" and not server.thinking:
        unknown.append("think")
    if beside and not server.is_known:
        yield f"{server.name} may pass over {', '.join(beside)}: the OpenAI API has no such fields"
    if unknown:
        yield f"{server.name} does not know {', '.join(unknown)}: without effect"


def body_of(
    request: Request, server: Server, model: str, *, answers: int, seed: int | None, bias: Mapping[int, float]
) -> tuple[str, dict[str, Any]]:
    """Returns where a request goes below the base URL, and its JSON.

    Args:
        request: what is asked; `check` has let it pass.
        server: who is asked.
        model: the name it knows the model by.
        answers: so many replies from this one.
        seed: of the first of them; None leaves it to the server.
        bias: what is added to the logits of tokens, by id.
    """
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _sampling(request.sampling, server)
    if seed is not None:
        body["seed"] = seed
    if bias:
        body["logit_bias"] = {str(token): max(_FORBIDDEN, number) for token, number in bias.items()}
    if answers > 1:
        body["n"] = answers
    body |= _form(request, server)
    return (COMPLETIONS, body | _raw(request, server)) if request.raw else (CHAT, body | _chat(request, server))


def messages_of(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Returns messages as every server reads them."""
    return [{"role": message.role, "content": _plain(message.text)} for message in messages]


def _sampling(asked: Sampling, server: Server) -> dict[str, Any]:
    names = {**STANDARD, **server.sampling}
    values = {theirs: getattr(asked, ours) for ours, theirs in names.items()}
    body = {name: value for name, value in values.items() if value is not None}
    if asked.stop:
        body["stop"] = list(asked.stop)
    return body


def _raw(request: Request, server: Server) -> dict[str, Any]:
    body: dict[str, Any] = {"prompt": "".join(_plain(message.text) for message in request.messages)}
    if request.sampling.max_tokens is None:
        body["max_tokens"] = _RAW_TOKENS if server.endless is None else server.endless
    if request.logprobs is not None:
        body["logprobs"] = min(_MOST_LIKELY, request.logprobs)
    return body


def _chat(request: Request, server: Server) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": messages_of(request.messages)}
    if goes_on(request):
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.logprobs is not None:  # llama-server tells nothing where none are to be likely
        body |= {"logprobs": True, "top_logprobs": min(_MOST_LIKELY, max(1, request.logprobs))}
    return body | dict(_thinking(request, server))


def _thinking(request: Request, server: Server) -> Iterator[tuple[str, Any]]:
    """Yields how a model is told whether to think, and for how long."""
    if request.think != "auto" and server.thinking == "template":
        yield "chat_template_kwargs", {"enable_thinking": request.think == "on"}
    elif request.think == "off" and server.thinking == "effort":
        yield "reasoning_effort", "none"
    if request.think_budget is not None and server.thought_budget:
        yield server.thought_budget, request.think_budget


def _form(request: Request, server: Server) -> dict[str, Any]:
    """Returns what the reply is held to."""
    if request.grammar:
        grammar = request.grammar
        return {"grammar": grammar} if server.grammar == "grammar" else {server.grammar: {"grammar": grammar}}
    if not request.schema:
        return {}
    schema = msgspec.json.decode(request.schema)
    if server.schema == "json_object":
        return {"response_format": {"type": "json_object", "schema": schema}}
    named = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _plain(text: str) -> str:
    """Returns a text without halves of characters, which no JSON has."""
    return text.encode("utf-8", "replace").decode()
