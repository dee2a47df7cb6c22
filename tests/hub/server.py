"""A model hub on the loopback: one port answers as the hub does, another serves the bytes as its CDN does.

Speaks with the real huggingface_hub client, does wrong what `faults` says, and remembers every request. Knows no test.

    with FakeHub() as hub:
        hub.add("user/model-GGUF", {"model-Q4_K_M.gguf": data}, licence="apache-2.0")
        hub.faults.content.append(Fault(cut=1000))
        ... HF_ENDPOINT=hub.endpoint
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

from tests.hub.faults import Asked, Faults
from tests.hub.handler import Handler
from tests.hub.repos import LARGE, Repo, Stored

TOKEN = "hf_canaryAbCdEfGhIjKlMnOpQrStUvWxYz"
"""Has the form of a real one; `hub.tokens` holds those that may read gated and private repositories."""


class FakeHub:
    """The hub: a context manager, all of it in threads of this process."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Asked] = []
        self.faults = Faults()
        self.tokens: set[str] = set()
        self.closing = threading.Event()
        self._signatures = 0
        self._lock = threading.Lock()
        self._servers = [_Server(self, "hub"), _Server(self, "cdn")]

    def __enter__(self) -> Self:
        for server in self._servers:
            server.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        for server in self._servers:
            server.end()

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        """Where links to the bytes point."""
        return f"http://{self.faults.cdn_host}:{self._servers[1].server_port}"

    def add(
        self,
        repo: str,
        files: Mapping[str, bytes],
        *,
        licence: str = "apache-2.0",
        gated: bool = False,
        private: bool = False,
        tags: tuple[str, ...] | None = None,
        downloads: int = 1234,
        likes: int = 56,
        base_model: str = "",
        pipeline: str = "text-generation",
        library: str = "transformers",
    ) -> Repo:
        """Adds a repository, or replaces it: its commit changes with its files."""
        if tags is None:
            tags = ("gguf",) if any(path.lower().endswith(".gguf") for path in files) else (library,)
        stored = {path: Stored(data, path.lower().endswith(LARGE)) for path, data in files.items()}
        made = Repo(repo, stored, licence, gated, private, tags, downloads, likes, base_model, pipeline, library)
        self.repos[repo] = made
        return made

    def sign(self) -> int:
        """Returns the number that makes the next link to the bytes another one."""
        with self._lock:
            self._signatures += 1
            return self._signatures

    def asked(self, kind: str, method: str = "") -> list[Asked]:
        """Returns the requests of one kind, in order."""
        return [asked for asked in list(self.requests) if asked.kind == kind and method in ("", asked.method)]

    @property
    def sent(self) -> int:
        """Bytes of files that went out."""
        return sum(asked.sent for asked in self.asked("content"))


class _Server(ThreadingHTTPServer):
    """One port. It closes the connections that clients keep open, so that its threads end with it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: FakeHub, port: Literal["hub", "cdn"]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub
        self.port = port
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=f"fake-{port}")
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def process_request_thread(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._guard:
            self._open.add(request)
        super().process_request_thread(request, client_address)
        with self._guard:
            self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about."""

    def end(self) -> None:
        """Stops; waits until every handler has gone."""
        self.shutdown()
        self.thread.join()
        ends = time.monotonic() + 10
        while self._open and time.monotonic() < ends:
            with self._guard:
                for request in self._open:
                    _shut(request)
            time.sleep(0.005)
        self.server_close()


def _shut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
