"""HTTP to one server: small questions with small answers, and requests whose answer streams in a thread of its own.

The only importer of httpx2 for servers, when the first question is asked. Follows no redirect: what is asked, and the
key, go to the address that the user gave and to no other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from llmchat_engine.errors import EngineError, RemoteUnreachable
from llmchat_engine.remote.address import Address, key_of, proxy_of
from llmchat_engine.remote.faults import Faults, Said
from llmchat_engine.types import RemoteSpec

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
"""For a connection to be made."""
_ASK_SECONDS = 15.0
"""For a small question."""
_LARGEST = 8 << 20
"""Bytes of a small answer; the list of hundreds of models takes some 500 KB."""
_LARGEST_FAULT = 64 << 10
_USER_AGENT = "llmchat"


class Refusal(Exception):
    """An answer whose status is a failure."""

    def __init__(self, status: int, location: str, retry_after: str, said: Said) -> None:
        super().__init__(status)
        self.status, self.location, self.retry_after, self.said = status, location, retry_after, said


class Http:
    """The line to one server. Safe from several threads."""

    def __init__(self, spec: RemoteSpec, address: Address, environ: Mapping[str, str], faults: Faults) -> None:
        """Connects nothing yet."""
        self._spec, self._address, self._environ, self._faults = spec, address, environ, faults
        self._lock = threading.Lock()
        self._opened: httpx2.Client | None = None

    def ask(self, url: str, body: Mapping[str, Any] | None = None, seconds: float = _ASK_SECONDS) -> Any:
        """Returns the JSON that a server answers: to a body, or to a bare question.

        Raises:
            Refusal: its status is a failure.
            RemoteError: it cannot be reached, or answers no JSON.
        """
        with self.stream(url, body, min(seconds, self._spec.timeout)) as response:
            data = self.whole(response, _LARGEST)
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            why = "it answers with a web page" if data[:200].lstrip().startswith(b"<") else str(error)
            hint = "" if self._address.base.endswith("/v1") else f"--base-url {self._address.base}/v1"
            raise RemoteUnreachable(
                f"the answer of {url} is not understood", why, hint or "is it the right URL?"
            ) from error

    @contextlib.contextmanager
    def stream(
        self, url: str, body: Mapping[str, Any] | None, seconds: float, extensions: Mapping[str, Any] | None = None
    ) -> Iterator[httpx2.Response]:
        """Yields an answer whose head has come and whose body is still to be read.

        Raises:
            Refusal: its status is a failure.
            RemoteError: the line cannot be made, or breaks, also while the body is read.
        """
        import httpx2

        timeout = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        try:
            content = None if body is None else msgspec.json.encode(body)
            with self._client().stream(
                "GET" if body is None else "POST",
                url,
                content=content,
                headers=self._headers(),
                timeout=timeout,
                extensions=dict(extensions or {}),
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    raise self._refusal(response)
                yield response
        # ValueError: a text that is none; RuntimeError: the client was closed by another thread.
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError, RuntimeError) as error:
            raise self._faults.of_exception(error) from error

    def close(self) -> None:
        """Closes what is open."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _client(self) -> httpx2.Client:
        """Returns the client: one for all requests, each with a connection of its own, which ends with it.

        A connection that was kept might be found closed by the next request, and could not be cut off before its answer
        begins; another one costs 0.3 ms on the loopback.
        """
        import httpx2

        with self._lock:
            if self._opened is None:
                # A context with the certificates of the system takes 30 ms, which a line without encryption saves.
                self._opened = httpx2.Client(
                    verify=self._address.is_secret,
                    trust_env=False,
                    proxy=proxy_of(self._address, self._environ),
                    follow_redirects=False,
                    limits=httpx2.Limits(max_keepalive_connections=0),
                )
            return self._opened

    def _headers(self) -> dict[str, str]:
        key = key_of(self._spec, self._environ)
        common = {"User-Agent": _USER_AGENT, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        return common | ({"Authorization": f"Bearer {key}"} if key else {})

    def _refusal(self, response: httpx2.Response) -> Refusal:
        body = b""
        with contextlib.suppress(EngineError):
            body = self.whole(response, _LARGEST_FAULT, cuts=True)
        headers = response.headers
        return Refusal(
            response.status_code, headers.get("Location", ""), headers.get("Retry-After", ""), self._faults.said(body)
        )

    def whole(self, response: httpx2.Response, most: int, *, cuts: bool = False) -> bytes:
        """Returns a body; of one that is longer than `most` the beginning, or nothing at all."""
        parts, size = [], 0
        for data in response.iter_bytes():
            parts.append(data)
            size += len(data)
            if size > most and cuts:
                break
            if size > most:
                raise RemoteUnreachable(
                    f"the answer of {self._address.place} is too long", f"{most:,} bytes are the most"
                )
        return b"".join(parts)
