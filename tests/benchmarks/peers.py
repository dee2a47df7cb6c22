"""llama-cpp-python's `Llama` as a child process: started, asked, and built anew where this CPU crashes it.

Knows the child's lines, not what it does. Nothing is built unless the peer has died of a crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.rates import STORY, Reply

PROGRAM = Path(__file__).with_name("llama_peer.py")
BENCH_VENV = Path(__file__).parents[2] / "bench-venv"
_CRASHES = (-signal.SIGSEGV, -signal.SIGILL, -signal.SIGBUS)
_SEEDS = range(1, 9)
WITHOUT_AMX = " ".join(
    f"-DGGML_{name}={value}"
    for name, value in {
        "NATIVE": "OFF",
        "AVX": "ON",
        "AVX2": "ON",
        "FMA": "ON",
        "F16C": "ON",
        "BMI2": "ON",
        "AVX512": "ON",
        "AVX512_VBMI": "ON",
        "AVX512_VNNI": "ON",
        "AVX512_BF16": "ON",
        "AMX_TILE": "OFF",
        "AMX_INT8": "OFF",
        "AMX_BF16": "OFF",
    }.items()
)
"""Every instruction set of a CPU that has AMX, but for AMX."""


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """How the peer loads the model: as ours was loaded."""

    model: Path
    n_ctx: int
    threads: int
    batch_threads: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What a program answered in a chat."""

    to_first: float
    """Seconds from asking to the first text."""
    text: str


class PeerCrashed(Exception):
    """The peer died of a signal that a wrong instruction raises."""


class LlamaPeer:
    """A running peer."""

    def __init__(self, options: PeerOptions, environ: Mapping[str, str], python: Path) -> None:
        """Starts it and waits until it has loaded the model.

        Raises:
            PeerCrashed: it died of a signal while it loaded.
            RuntimeError: it ended in another way.
        """
        self.python = python
        numbers = (options.n_ctx, options.threads, options.batch_threads)
        self._child = subprocess.Popen(
            [str(python), str(PROGRAM), str(options.model), *map(str, numbers)],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = str(self._answer()["version"])

    def measure(self, question: str, tokens: int, seed: int) -> Reply:
        """Asks once.

        Raises:
            PeerCrashed: it died of a signal.
            RuntimeError: it ended in another way.
        """
        return Reply(**self._asked({"question": question, "tokens": tokens, "seed": seed}))

    def chat(self, messages: Sequence[Mapping[str, str]], tokens: int, temperature: float) -> Heard:
        """Asks in a chat; what the peer keeps of the chat so far, it may use.

        Raises:
            PeerCrashed: it died of a signal.
            RuntimeError: it ended in another way.
        """
        return Heard(**self._asked({"messages": messages, "tokens": tokens, "temperature": temperature}))

    def find_seed(self, tokens: int) -> int:
        """Returns a seed with which the peer tells a story of this many tokens, or else of most."""
        lengths = {}
        for seed in _SEEDS:
            reply = self.measure(STORY, tokens, seed)
            if reply.complete:
                return seed
            lengths[seed] = reply.tokens
        return max(lengths, key=lambda seed: lengths[seed])

    def close(self) -> None:
        """Ends it."""
        with self._child:
            self._child.terminate()

    def _asked(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        with self._child:
            code = self._child.wait()
        if code in _CRASHES:
            raise PeerCrashed(f"Llama died of {signal.Signals(-code).name}")
        raise RuntimeError(f"Llama ended with exit {code}")


@contextmanager
def llama_peer(options: PeerOptions, environ: Mapping[str, str]) -> Iterator[LlamaPeer]:
    """Yields a peer that has decoded something; where the installed build crashes here, one built without AMX."""
    try:
        peer = _tried(LlamaPeer(options, environ, Path(sys.executable)))
    except PeerCrashed as crash:
        print(f"{crash}: building it without AMX into {BENCH_VENV.name} takes some minutes", file=sys.stderr)
        peer = _tried(LlamaPeer(options, environ, python_without_amx()))
    try:
        yield peer
    finally:
        peer.close()


def _tried(peer: LlamaPeer) -> LlamaPeer:
    """Returns a peer that did not die of 64 prompt tokens: AMX is used for matrix products, not for single tokens."""
    peer.measure("word " * 64, 2, seed=1)
    return peer


def python_without_amx(place: Path = BENCH_VENV) -> Path:
    """Returns a Python whose llama-cpp-python, of the version that is installed here, was built without AMX.

    Raises:
        CalledProcessError: it cannot be built.
    """
    from importlib.metadata import version

    python = place / "bin" / "python"
    done = place / ".without-amx"
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    if not done.exists() or done.read_text() != wanted:
        venv.create(place, with_pip=True, clear=True)
        install = ("-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-binary", "llama-cpp-python", wanted)
        subprocess.run([str(python), *install], env={**os.environ, "CMAKE_ARGS": WITHOUT_AMX}, check=True)
        done.write_text(wanted)
    return python
