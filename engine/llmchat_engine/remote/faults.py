"""What went wrong with a server as an `EngineError`: no way to it, what it refuses, a prompt that does not fit.

Reads statuses, bodies and exceptions; sends nothing. What a server says is data, and its key is taken out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from llmchat_engine.errors import ContextFull, EngineError, RemoteError, RemoteRefused, RemoteUnreachable
from llmchat_engine.remote.address import Address, proxy_of
from llmchat_engine.types import RemoteSpec

_MOST_WORDS = 300
"""Characters of what a server says that are passed on."""
_FULL_CODES = ("context_length_exceeded", "exceed_context_size_error")
_FULL = re.compile(r"context (?:length|size|window)|maximum model length|prompt (?:is )?too long", re.IGNORECASE)
_CONTEXT = re.compile(r"(?:context (?:length|size|window)|model length)\D{0,40}?([\d,]{2,})", re.IGNORECASE)
_PROMPT = re.compile(
    r"request \(([\d,]+) tokens|\(length ([\d,]+)|([\d,]+) in (?:the messages|your prompt)|([\d,]+) input tokens"
    r"|resulted in ([\d,]+)|requested ([\d,]+)",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"(?:parameters?|arguments?|fields?)[^:'\"`]{0,40}[:\s]\s*['\"`]?([a-z_]{3,40})['\"`]?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a server says about a failure."""

    words: str = ""
    code: str = ""
    field: str = ""
    """The part of the request that it is about, where it names one."""


class PromptTooLong(ContextFull):
    """A server says that the prompt does not fit."""

    def __init__(self, why: str, prompt_tokens: int, n_ctx: int) -> None:
        super().__init__(prompt_tokens, n_ctx)
        # The words of the base are about counts and a model here; a server tells its own.
        hint = "shorten it, or give the server a longer context"
        EngineError.__init__(self, "the prompt does not fit into the context", why, hint)


class BrokenOff(RemoteUnreachable):
    """A request was sent, or an answer had begun, when the line broke."""


class Faults:
    """Makes errors about one server."""

    def __init__(self, spec: RemoteSpec, address: Address, environ: Mapping[str, str]) -> None:
        self._spec, self._address, self._environ = spec, address, environ
        self._key = environ.get(spec.key_env, "").strip() if spec.key_env else ""

    def said(self, body: bytes) -> Said:
        """Returns what a body says of a failure, in any of the forms that servers have for it."""
        try:
            told = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return Said("" if b"<" in body[:200] else self._words(body.decode("utf-8", "replace")))
        return self.said_in(told)

    def said_in(self, told: Any) -> Said:
        """Returns what a decoded body says."""
        error = told.get("error", told) if isinstance(told, dict) else told
        if not isinstance(error, dict):
            return Said(self._words(str(error)))
        words = error.get("message") or error.get("detail") or error.get("error") or ""
        if isinstance(words, list):
            words = "; ".join(_detail(one) for one in words[:3])
        codes = (error.get("code"), error.get("type"))
        code = next((code for code in codes if isinstance(code, str) and code), "")
        named = error.get("param")
        return Said(self._words(str(words)), code, self._words(named) if isinstance(named, str) else "")

    def of_status(self, status: int, location: str, said: Said, models: tuple[str, ...] = ()) -> EngineError:
        """Returns the error of an answer that is none.

        Args:
            status: of the answer.
            location: where it redirects to; empty where it does not.
            said: what its body says.
            models: the names of the models that the server has, where they are known.
        """
        place, says = self._address.place, f"it says: {said.words}" if said.words else f"its status is {status}"
        if self.is_full(said):
            return self.full(said)
        if 300 <= status < 400:
            why = f"it redirects to {self._words(location)}" if location else says
            return RemoteRefused(
                f"{place} does not answer there", why, "give that address, if you trust it: --base-url URL"
            )
        if status in (401, 403):
            return RemoteRefused(f"{place} refuses the key", f"{self._about_key()}; {says}", self._key_hint())
        if status == 404 or said.code == "model_not_found":
            return self._missing(said, says, models)
        if status == 413:
            return RemoteRefused(f"{place} does not take so much at once", says, "shorten what is asked")
        if status == 429:
            return RemoteRefused(f"{place} is asked too much", says, "wait a moment, and ask again")
        if status >= 500:
            return RemoteUnreachable(f"{place} failed", says, "ask again; its own log says more")
        field = said.field or next(iter(_FIELD.findall(said.words)), "")
        what = f"{place} does not take {field}" if field else f"{place} refuses the request"
        return RemoteRefused(what, says, "leave it out" if field else "")

    def is_full(self, said: Said) -> bool:
        """Returns whether a server says that a prompt does not fit."""
        return said.code in _FULL_CODES or bool(_FULL.search(said.words))

    def full(self, said: Said) -> ContextFull:
        """Returns that, with the counts that it names."""
        context, prompt = _CONTEXT.search(said.words), _PROMPT.search(said.words)
        return PromptTooLong(
            f"{self._address.place} says: {said.words or said.code}",
            _number(next(filter(None, prompt.groups()), "") if prompt else ""),
            _number(context[1] if context else ""),
        )

    def probably_full(self, prompt_tokens: int, n_ctx: int) -> ContextFull:
        """Returns the error of a server that broke off before a word, on a prompt that cannot fit."""
        counts = f"it has about {prompt_tokens:,} tokens, the context holds {n_ctx:,}"
        return PromptTooLong(f"{counts}, and {self._address.place} broke off without a word", prompt_tokens, n_ctx)

    def broken(self, why: str = "") -> BrokenOff:
        """Returns the error of an answer that ended in its middle."""
        return BrokenOff(f"the answer of {self._address.place} broke off", why, "ask again; its own log says more")

    def of_exception(self, error: Exception) -> RemoteError:
        """Returns the error of a line that could not be made, or broke."""
        import httpx2

        place, why = self._address.place, self._words(_cause(error))
        if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return RemoteUnreachable(f"cannot reach {place}", "no answer came to the connection", self._reach_hint())
        if isinstance(error, httpx2.TimeoutException):
            return self.silent()
        if isinstance(error, httpx2.ProxyError):
            return RemoteUnreachable(
                f"cannot reach {place}", f"the proxy says: {why}", "no_proxy names what needs none"
            )
        if isinstance(error, httpx2.ConnectError | OSError):
            if proxy_of(self._address, self._environ):
                why = f"by the proxy of the environment: {why}"
            return RemoteUnreachable(f"cannot reach {place}", why, self._reach_hint())
        if isinstance(error, httpx2.ReadError | httpx2.WriteError | httpx2.RemoteProtocolError):
            return self.broken(why)
        return RemoteUnreachable(f"{place} does not speak as expected", why, "is it a server of the OpenAI API?")

    def silent(self) -> RemoteUnreachable:
        """Returns the error of a server that says nothing for too long."""
        named = (
            f"timeout in [remotes.{self._spec.name}] of config.toml"
            if self._spec.name
            else "a timeout in [remotes.NAME]"
        )
        return RemoteUnreachable(
            f"{self._address.place} is silent", f"nothing came for {self._spec.timeout:g} s", f"{named} waits longer"
        )

    def _words(self, text: str) -> str:
        """Returns what is passed on of a server's words: one line, not too long, without the key."""
        text = " ".join(text.split())
        text = text.replace(self._key, "…") if self._key else text
        return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}…"

    def _about_key(self) -> str:
        if not self._spec.key_env:
            return "none was sent"
        return f"it is the one in {self._spec.key_env}" if self._key else f"{self._spec.key_env} is not set"

    def _key_hint(self) -> str:
        if self._spec.key_env:
            return f"export {self._spec.key_env}=…"
        return f'name the variable that holds it: key_env = "…" in [remotes.{self._spec.name or "NAME"}] of config.toml'

    def _missing(self, said: Said, says: str, models: tuple[str, ...]) -> RemoteRefused:
        place = self._address.place
        if self._spec.model and self._spec.model not in models and (models or "model" in said.words.lower()):
            return RemoteRefused(f"{place} has no model {self._spec.model}", listed(models) or says, first_of(models))
        hint = "" if self._address.base.endswith("/v1") else f"the URL may lack /v1: --base-url {self._address.base}/v1"
        return RemoteRefused(f"{place} has nothing at {self._address.base}", says, hint or "is it the right URL?")

    def _reach_hint(self) -> str:
        return "start the server first" if self._address.is_here else "check the address and the network"


def listed(models: tuple[str, ...]) -> str:
    """Returns the models of a server in words; empty where there are none."""
    if not models:
        return ""
    rest = f" and {len(models) - 8} more" if len(models) > 8 else ""
    return f"it has {', '.join(models[:8])}{rest}"


def first_of(models: tuple[str, ...]) -> str:
    """Returns the flag that takes the first of them; empty where there are none."""
    return f"-m openai:{models[0]} --base-url URL" if models else ""


def _detail(one: Any) -> str:
    """Returns one of the complaints that FastAPI lists."""
    if not isinstance(one, dict):
        return str(one)
    place = ".".join(str(part) for part in one.get("loc", ()) if part != "body")
    return f"{place}: {one.get('msg', '')}" if place else str(one.get("msg", ""))


def _number(text: str) -> int:
    digits = text.replace(",", "")
    return int(digits) if digits.isdecimal() and len(digits) < 12 else 0


def _cause(error: BaseException) -> str:
    """Returns the reason that lies deepest: a wrapped one says more than what it is wrapped in."""
    import socket
    import ssl

    for cause in reversed([*_causes(error)]):
        if isinstance(cause, socket.gaierror):
            return "no address is known for that name"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"the encrypted line cannot be made: {cause.reason or cause}"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
