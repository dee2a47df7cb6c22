"""`python -m llama_cpp.server` as a child process: its libraries installed, started, asked over HTTP.

Knows HTTP and pip; what is asked, chats.py knows.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.peers import Heard, PeerOptions

ROOT = Path(__file__).parents[2]
LIBRARIES = ROOT / "bench-server"
"""Beside the environment, not in it: nobody who uses llmchat has a web server installed for this."""
WANTED = (
    "fastapi==0.165.0",
    "pydantic-settings==2.16.3",
    "PyYAML",
    "sse-starlette==3.7.0",
    "starlette-context==0.3.6",
    "uvicorn==0.54.0",
)
"""The extra `server` of llama-cpp-python; what llmchat needs too has the version of constraints.txt."""
_START_TIME = 60.0


class ServerMissing(Exception):
    """The server cannot be run here."""


def install(place: Path = LIBRARIES, wanted: Sequence[str] = WANTED, python: str = sys.executable) -> Path:
    """Returns the directory with the server's libraries, installed where they are not there yet.

    Args:
        place: The directory.
        wanted: What pip shall install.
        python: Whose pip.

    Raises:
        ServerMissing: pip could not install them.
    """
    done = place / ".done"
    if done.exists() and done.read_text() == "\n".join(wanted):
        return place
    command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--upgrade", "--target", str(place), "-c", str(ROOT / "constraints.txt"), *wanted]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise ServerMissing(f"its libraries cannot be installed: {said[-1] if said else 'pip says nothing'}")
    done.write_text("\n".join(wanted))
    return place


class ServerPeer:
    """A running server."""

    def __init__(self, options: PeerOptions, environ: Mapping[str, str], python: Path, libraries: Path) -> None:
        """Starts it and waits until it has loaded the model.

        Raises:
            ServerMissing: it does not start.
        """
        self._port = _free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the child is
        model = ("--model", str(options.model), "--n_ctx", str(options.n_ctx))
        threads = ("--n_threads", str(options.threads), "--n_threads_batch", str(options.batch_threads))
        address = ("--host", "127.0.0.1", "--port", str(self._port))
        self._child = subprocess.Popen(
            [str(python), "-m", "llama_cpp.server", *model, *threads, *address],
            env={**environ, "PYTHONPATH": str(libraries)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def chat(self, messages: Sequence[Mapping[str, str]], tokens: int, temperature: float) -> Heard:
        """Asks, and returns what came and when."""
        asked = {"messages": messages, "max_tokens": tokens, "temperature": temperature, "stream": True}
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        first, text = 0.0, []
        began = time.perf_counter()
        try:
            body = json.dumps(asked).encode()
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"the server answers {answer.status}: {answer.read(400)!r}")
            for line in answer:
                if said := content_of(line):
                    first = first or time.perf_counter()
                    text.append(said)
        finally:
            connection.close()
        return Heard((first or time.perf_counter()) - began, "".join(text))

    def close(self) -> None:
        """Ends it."""
        with self._child:
            self._child.kill()
        self._log.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIME
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                raise ServerMissing(f"it ends with exit {self._child.returncode}: {self._last_line()}")
            if _answers(self._port):
                return
            time.sleep(0.05)
        raise ServerMissing(f"it does not answer after {_START_TIME:g} s: {self._last_line()}")

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"


def content_of(line: bytes) -> str:
    """Returns the text that one line of the stream brings; mostly none."""
    if not line.startswith(b"data: {"):
        return ""
    return str(json.loads(line[len(b"data: ") :])["choices"][0]["delta"].get("content") or "")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
