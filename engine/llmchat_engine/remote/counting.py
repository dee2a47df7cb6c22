"""How many tokens a prompt has for a server: counted by it where it can, else estimated. And the prompt itself.

A server on another machine is asked to count nothing by itself: what is measured may be a draft that was not sent yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec

from llmchat_engine.errors import EngineError, RequestInvalid
from llmchat_engine.events import Measured, Rendered
from llmchat_engine.remote.address import Address
from llmchat_engine.remote.body import goes_on, messages_of
from llmchat_engine.remote.greeting import Greeting
from llmchat_engine.remote.http import Http, Refusal
from llmchat_engine.types import Request

BYTES_PER_TOKEN = 3.5
"""Of UTF-8: between English prose (4.4), code (3.2) and other languages (2 to 3) with vocabularies of today."""
PER_MESSAGE = 4
"""Tokens that a chat template puts around a message, ChatML for instance."""
_SECONDS = 5.0
"""For a count: the gauge waits for it."""


class _Ids(msgspec.Struct):
    tokens: list[int]


class _Count(msgspec.Struct):
    count: int


class _Prompt(msgspec.Struct):
    prompt: str


def estimate(request: Request, n_ctx: int) -> Measured:
    """Returns what a prompt may take, without asking anybody."""
    around = 0 if request.raw else PER_MESSAGE
    counts = (
        around + round(len(message.text.encode("utf-8", "replace")) / BYTES_PER_TOKEN) for message in request.messages
    )
    return Measured(0, tuple(counts), 0, n_ctx, exact=False)


class Counter:
    """Counts for one model of one server."""

    def __init__(self, http: Http, address: Address, greeting: Greeting) -> None:
        self._http, self._address, self._greeting = http, address, greeting
        self._fails = False

    def measure(self, request: Request) -> Measured:
        """Returns the tokens of a prompt; which message has how many of them is an estimate."""
        guess = estimate(request, self._greeting.info.n_ctx)
        if self._fails or not self._address.is_here or not request.messages:
            return guess
        if self._greeting.server.interrupts:  # what is counted may be a draft that is typed while a reply is written
            return guess
        try:
            total, is_exact = self._total(request)
        except EngineError:
            self._fails = True  # it does not count for others: behind a gateway, for instance
            return guess
        return replace(guess, messages=_spread(total, guess.messages), exact=is_exact) if total else guess

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns the ids of a text.

        Raises:
            RequestInvalid: the server tells none.
        """
        return tuple(self._post(*self._ids_of(text), _Ids).tokens)

    def render(self, request: Request) -> Rendered:
        """Returns the exact prompt of a request.

        Raises:
            RequestInvalid: the server does not tell it.
        """
        if request.raw:
            text = "".join(message.text for message in request.messages)
        elif self._greeting.server.counts == "templated":
            text = self._templated(request)
        else:
            raise self._cannot("does not tell the prompt that it makes of a chat")
        url, body = self._ids_of(text)
        return Rendered(text, tuple(self._post(url, body | {"parse_special": True, "add_special": True}, _Ids).tokens))

    def _total(self, request: Request) -> tuple[int, bool]:
        """Returns the tokens of a prompt, and whether that is exact; 0 where the server does not count."""
        raw = "".join(message.text for message in request.messages)
        match self._greeting.server.counts:
            case "templated":
                return len(self.render(request).token_ids), True
            case "messages":
                asked = {"prompt": raw} if request.raw else _chat(request)
                return self._post("/tokenize", asked | {"model": self._greeting.model}, _Count).count, True
            case _:
                return 0, False

    def _templated(self, request: Request) -> str:
        made: _Prompt = self._post("/apply-template", _chat(request), _Prompt)
        return made.prompt

    def _ids_of(self, text: str) -> tuple[str, dict[str, Any]]:
        model = self._greeting.model
        match self._greeting.server.counts:
            case "templated":
                return "/tokenize", {"content": text, "add_special": False, "parse_special": False}
            case "messages":
                return "/tokenize", {"model": model, "prompt": text, "add_special_tokens": False}
            case "text":
                return "/extras/tokenize", {"model": model, "input": text}
            case _:
                raise self._cannot("tells no tokens")

    def _cannot(self, what: str) -> RequestInvalid:
        return RequestInvalid(f"{self._greeting.server.name} {what}", "", "take a model on this machine")

    def _post(self, way: str, body: dict[str, Any], kind: type[Any]) -> Any:
        """Returns what the server answers to a question of its own kind.

        Raises:
            RequestInvalid: it knows no such question after all.
            RemoteError: it cannot be reached.
        """
        try:
            return msgspec.convert(self._http.ask(f"{self._address.root}{way}", body, _SECONDS), kind)
        except (Refusal, msgspec.ValidationError) as error:
            raise self._cannot("does not count for others") from error


def _chat(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": messages_of(request.messages)}
    return body | ({"continue_final_message": True, "add_generation_prompt": False} if goes_on(request) else {})


def _spread(total: int, shares: Sequence[int]) -> tuple[int, ...]:
    """Returns whole numbers in the proportion of the shares that add up to the total."""
    whole = sum(shares) or 1
    ends = [round(total * share / whole) for share in accumulate(shares)]
    return tuple(end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True))
