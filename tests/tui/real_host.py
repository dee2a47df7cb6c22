"""A home with a tiny real model whose hosts leave no process behind. For the few tests that need llama.cpp itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.engine.tiny_gguf import tiny_llama
from tests.tui.asking import ROOT, Asked

from llmchat_engine.hosts import running_hosts, stop_host

MAIN = [sys.executable, "-c", "from llmchat_tui.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class RealHome:
    """Where a model, its chats and its sockets are."""

    root: Path
    model: Path
    keepalive: str

    @property
    def environ(self) -> dict[str, str]:
        """What its commands run in."""
        rooms = os.pathsep.join(str(ROOT / room) for room in ("engine", "rag", "tui"))
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": rooms,
            "HOME": str(self.root),
            "LLMCHAT_HOME": str(self.root / "home"),
            "XDG_RUNTIME_DIR": str(self.root),
            "LLMCHAT_MODEL": str(self.model),
            "LLMCHAT_KEEPALIVE": self.keepalive,
            "LLMCHAT_THREADS": "1",
            "TERM": "xterm",
        }

    @property
    def runtime(self) -> Path:
        """Where the sockets are."""
        return self.root / "llmchat"

    def llmchat(self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL) -> Asked:
        """Runs the program."""
        done = subprocess.run([*MAIN, *arguments], stdin=stdin, capture_output=True, env=self.environ, timeout=60)
        return Asked(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def shell(self, line: str) -> Asked:
        """Runs a line of sh, in which `"$@"` is the program."""
        command: Sequence[str] = ["/bin/sh", "-c", line, "sh", *MAIN]
        done = subprocess.run(command, capture_output=True, env=self.environ, timeout=60)
        return Asked(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def pids(self) -> list[int]:
        """Returns the hosts that run."""
        return [host.pid for host in running_hosts(self.runtime)]


@contextmanager
def real_home(keepalive: str, *, width: int = 64, layers: int = 2) -> Iterator[RealHome]:
    """Yields a home under a short path, as sockets need; its hosts are stopped at the end.

    Args:
        keepalive: How long a host without a client stays.
        width: Width of the model: a wide one writes slowly.
        layers: Its layers.
    """
    with tempfile.TemporaryDirectory(prefix="lc", dir="/tmp") as folder:
        root = Path(folder)
        root.chmod(0o700)
        home = RealHome(root, tiny_llama(root / "tiny.gguf", width=width, layers=layers), keepalive)
        try:
            yield home
        finally:
            for host in running_hosts(home.runtime):
                stop_host(host)
