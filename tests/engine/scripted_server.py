"""A server of the OpenAI API that says what a test tells it, byte by byte, and does wrong what it is told to.

On the loopback, a thread per connection. Knows no engine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Play = Callable[["Connection"], None]
DONE = "data: [DONE]\n\n"


@dataclass
class Heard:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Connection:
    """What a play writes to, and what it was asked."""

    heard: Heard
    handler: BaseHTTPRequestHandler
    leaving: threading.Event
    """Set when the test has ended: what hangs lets go."""

    def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Sends status and headers."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Connection", "close")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def send(self, text: str | bytes) -> None:
        """Sends a part of the body."""
        self.handler.wfile.write(text if isinstance(text, bytes) else text.encode())
        self.handler.wfile.flush()

    def wait(self) -> None:
        """Says nothing more until the test ends or the other side has gone."""
        self.handler.connection.settimeout(0.02)
        while not self.leaving.is_set():
            try:
                if not self.handler.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


@dataclass
class ScriptedServer:
    """Plays answers in order, the last one again and again; `heard` keeps what it was asked for them."""

    plays: Sequence[Play] = ()
    models: Sequence[dict[str, Any]] = ({"id": "tiny", "object": "model", "owned_by": "vllm", "max_model_len": 2048},)
    ways: dict[str, Any] = field(default_factory=dict)
    """What other paths answer as JSON."""
    list_plays: list[Play] = field(default_factory=list)
    """What the list of models does in its place, one after the other."""
    heard: list[Heard] = field(default_factory=list)
    counted: list[Heard] = field(default_factory=list)
    """What the other paths were asked."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when a play has ended, also by a line that was cut."""
    leaving: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ScriptedServer:
        """Listens on a port of its own."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self)

            def do_POST(self) -> None:
                outer._serve(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self.leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.place}/v1"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        heard = Heard(handler.command, handler.path, dict(handler.headers.items()), body)
        connection = Connection(heard, handler, self.leaving)
        try:
            self._answer(connection)
        except OSError:
            pass  # the other side has gone
        finally:
            if handler.path.endswith("completions"):
                self.ended.set()

    def _answer(self, connection: Connection) -> None:
        heard = connection.heard
        if heard.path.endswith("completions"):
            self.heard.append(heard)
            self.plays[min(len(self.heard), len(self.plays)) - 1](connection)
        elif heard.path.endswith("/models") and self.list_plays:
            self.list_plays.pop(0)(connection)
        elif heard.path.endswith("/models"):
            answer(connection, {"object": "list", "data": list(self.models)})
        else:
            self.counted.append(heard)
            told = self.ways.get(heard.path)
            answer(connection, told if told is not None else {"detail": "Not Found"}, 200 if told is not None else 404)


def answer(connection: Connection, told: Any, status: int = 200, **headers: str) -> None:
    """Answers with JSON, whole."""
    connection.head(status, "application/json", **headers)
    connection.send(json.dumps(told))


def chunk(text: str | None = None, *, index: int = 0, reason: str | None = None, **delta: Any) -> str:
    """Returns one event of a chat."""
    said = delta | ({} if text is None else {"content": text})
    return event({"choices": [{"index": index, "delta": said, "finish_reason": reason}]})


def event(told: Any) -> str:
    """Returns one event."""
    return f"data: {json.dumps(told)}\n\n"


def usage(prompt: int, reply: int, cached: int = 0) -> str:
    """Returns the event that counts."""
    details = {"prompt_tokens_details": {"cached_tokens": cached}}
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": reply, **details}})


def saying(*texts: str, reason: str = "stop") -> Play:
    """Returns a play that says texts, counts, and ends."""
    return streaming(*map(chunk, texts), chunk(reason=reason), usage(12, len(texts)), DONE)


def streaming(*parts: str | bytes) -> Play:
    """Returns a play that sends parts of a stream as they are, and closes the line."""

    def play(connection: Connection) -> None:
        connection.head()
        for part in parts:
            connection.send(part)

    return play


def hanging(*parts: str) -> Play:
    """Returns a play that sends parts, and then nothing for ever."""

    def play(connection: Connection) -> None:
        connection.head()
        for part in parts:
            connection.send(part)
        connection.wait()

    return play


def refusing(status: int, told: Any = None, **headers: str) -> Play:
    """Returns a play that answers with a failure."""
    return lambda connection: answer(connection, {} if told is None else told, status, **headers)


def error(message: str, **more: Any) -> dict[str, Any]:
    """Returns a failure as the OpenAI API tells it."""
    return {"error": {"message": message, **more}}


def words(count: int) -> Iterator[str]:
    """Yields so many words."""
    return (f" word{number}" for number in range(count))
