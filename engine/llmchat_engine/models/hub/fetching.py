"""One request for the bytes of a file, in a thread of its own, so that whoever waits for them can wait with a limit.

Knows HTTP and redirects, and that a token is for the hub alone; knows no file, no repository and no second try.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmchat_engine.errors import EngineError, HubError, HubForbidden, HubUnreachable
from llmchat_engine.models.hub.errors import no_connection, redact

if TYPE_CHECKING:
    import httpx2

_REDIRECTS = 10
_WAITING = 4
"""Pieces of at most 64 KiB that may wait between the line and the disk: what a kill loses of them was received."""
_SECRET = ("authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Reply:
    """How a server answered, before its body."""

    status: int
    headers: Mapping[str, str]
    """Names of any case find theirs."""
    host: str
    on_hub: bool
    """Whether the hub itself answered, not the server that it points to for the bytes."""


@dataclass(frozen=True, slots=True)
class End:
    """The body is over: whether all of it came is for the reader to count."""


class LineFault(Exception):
    """The connection failed; another one may not. `certain` where it will."""

    def __init__(self, error: HubError, certain: bool = False) -> None:
        super().__init__(error.what)
        self.error = error
        self.certain = certain


Heard = Reply | bytes | End
_Item = Heard | EngineError | LineFault


class Fetch:
    """A GET that follows redirects. The token goes to the hub's own origin alone, and never again after leaving it."""

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float) -> None:
        """Starts it.

        Args:
            url: The hub's address of the file.
            headers: What is sent to the hub; without its secrets to any other server.
            seconds: How long one step of it may take: to connect, to hear something.
        """
        self._url = url
        self._headers = {**headers, "Accept-Encoding": "identity"}  # else no length would be the file's
        self._seconds = seconds
        self._heard: queue.Queue[_Item] = queue.Queue(_WAITING)
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="download", daemon=True)
        self._thread.start()

    def hear(self, seconds: float) -> Heard | None:
        """Returns what came next, or None where nothing came in that time.

        Raises:
            LineFault: The connection failed.
            EngineError: The server led astray.
        """
        try:
            item = self._heard.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def waiting(self) -> Iterator[bytes]:
        """Yields what came and was not heard yet, without waiting for more."""
        with contextlib.suppress(queue.Empty):
            while isinstance(item := self._heard.get_nowait(), bytes):
                yield item

    def close(self) -> None:
        """Ends it, also where it waits for the server."""
        self._stopped.set()
        line = self._socket
        if line is not None:
            # Not SSLSocket's own: that would take the encryption away under the thread that reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)
        self._thread.join(1.0 if line is not None else 0.0)

    def _run(self) -> None:
        import httpx2

        try:
            self._fetch()
        except EngineError as error:
            self._tell(error)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            self._tell(_fault(error, self._url))
        finally:
            self._tell(End())

    def _tell(self, item: _Item) -> None:
        while not self._stopped.is_set():
            try:
                self._heard.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def _client(self) -> httpx2.Client:
        import httpx2

        try:
            return httpx2.Client(timeout=self._seconds, follow_redirects=False)
        except (ImportError, OSError, ValueError) as error:  # a proxy or certificates of which nothing can be made
            raise no_connection(str(error)) from None

    def _fetch(self) -> None:
        with self._client() as client:
            response, on_hub = self._follow(client)
            try:
                self._tell(Reply(response.status_code, response.headers, response.url.host, on_hub))
                if response.status_code in (200, 206):
                    for piece in response.iter_raw():
                        self._tell(piece)
                        if self._stopped.is_set():
                            return
            finally:
                response.close()

    def _follow(self, client: httpx2.Client) -> tuple[httpx2.Response, bool]:
        """Returns the answer that is no redirect, and whether the hub gave it."""
        import httpx2

        url = httpx2.URL(self._url)
        home, headers, on_hub = _origin(url), self._headers, True
        for _ in range(_REDIRECTS):
            response = client.send(client.build_request("GET", url, headers=headers), stream=True)
            self._socket = _socket_of(response)
            if not response.has_redirect_location:
                return response, on_hub
            response.close()
            url = _next_address(url, response.headers["Location"])
            if _origin(url) != home:
                on_hub = False
                headers = {name: value for name, value in headers.items() if name.lower() not in _SECRET}
        what = f"could not download from {_origin(url)[1]}"
        raise HubUnreachable(what, f"it redirected {_REDIRECTS} times without an end", "try again later")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _next_address(url: httpx2.URL, location: str) -> httpx2.URL:
    """Returns where a redirect leads; refuses what is no web address, and one that gives up the encryption."""
    following = url.join(location)
    if following.scheme not in ("http", "https") or not following.host:
        raise HubError(f"could not download from {url.host}", "it redirected to something that is no web address")
    if url.scheme == "https" and following.scheme == "http":
        why = f"it redirected to {following.host} without encryption"
        raise HubError(f"could not download from {url.host}", why)
    return following


def _socket_of(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    return found if isinstance(found, socket.socket) else None


def _fault(error: Exception, url: str) -> LineFault:
    """Returns what a failed connection means. Texts of the library that can hold a header are not repeated."""
    import httpx2

    try:
        host = httpx2.URL(url).host
    except httpx2.InvalidURL:
        host = "the hub"
    what = f"could not download from {host}"
    if isinstance(error, (httpx2.LocalProtocolError, ValueError)):
        why = "its address or the token cannot be sent: a character in it is not allowed"
        return LineFault(HubForbidden(what, why, "set the token again: export HF_TOKEN=hf_…"), True)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        why = "its certificate is not one that this machine trusts"
        return LineFault(HubUnreachable(what, why, "behind a proxy, name its certificates: SSL_CERT_FILE=…"), True)
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return LineFault(HubUnreachable(what, "its address is none", "look at HF_ENDPOINT"), True)
    return LineFault(HubUnreachable(what, _reason(error), "look at the network, then pull again: it goes on from here"))


def _reason(error: Exception) -> str:
    """Returns why a connection failed, in our words where the library has none."""
    import httpx2

    if isinstance(error, httpx2.TimeoutException):
        return "it did not answer in time"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "the connection broke off"
    told = redact(re.sub(r"^\[Errno -?\d+\] ", "", str(error)))
    return f"the connection failed: {told}" if told else "the connection failed"
