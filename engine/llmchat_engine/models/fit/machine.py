"""What this machine has to run a model on: free memory, graphics cards, and how fast its memory is read.

Cards and speed are asked of throw-away processes; the speed is remembered. Imports neither numpy nor llama_cpp, and on
the way of a question asks nothing that takes time: see `read_machine`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from llmchat_engine.models.fit.cpu import cpu_threads
from llmchat_engine.models.fit.memory import Free, memory_free
from llmchat_engine.models.fit.offload import has_own_memory, library_dir

CARD_MARGIN = 1 << 30
"""Bytes of a card that stay free for what else draws on it and what the estimate misses; llama.cpp's own margin."""
ROOM_SHARE = 0.75
"""Part of the free memory that a model may take at most, where the rest of the machine shall not feel it."""
REMEMBERED = 30 * 86_400.0
"""Seconds that a measured speed counts for."""
_AGAIN = 86_400.0
"""Seconds after which it is measured once more: a busy machine gave a low number, and the highest is kept."""
_FASTEST = 1e14
"""Bytes a second that no machine reads."""
_TIMEOUT = 60.0
"""Seconds; a CUDA build can take ten of them to look for its devices for the first time."""

Run = Callable[[Sequence[str]], str]
"""Runs a module of the engine with arguments and returns the last line that it prints, empty where it failed."""


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card with memory of its own. Sizes in bytes."""

    name: str
    kind: str
    """"gpu", or "igpu" for one that shares the machine's memory."""
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is for a model."""

    free: Free
    cards: tuple[Card, ...] = ()
    bandwidth: float = 0.0
    """Bytes a second that the threads which write read from memory; 0 where it was never measured."""
    threads: int = 1
    """Those threads."""
    card_unknown: bool = False
    """Whether the build is for cards and none could be asked: then only loading tells what fits."""

    @property
    def card_room(self) -> int:
        """Bytes that a model may take on all cards together."""
        return sum(max(0, card.free - CARD_MARGIN) for card in self.cards)


class _Speed(msgspec.Struct, frozen=True):
    """A measured speed on disk."""

    bandwidth: float
    """The highest."""
    since: float
    """Unix time from which it counts."""
    at: float
    """Unix time of the last measurement."""


def read_machine(state_dir: Path, *, measure: bool = True, run: Run | None = None) -> Machine:
    """Returns what this machine has.

    Args:
        state_dir: Where the speed is remembered.
        measure: Measure the speed where it is not known, which takes a third of a second; False takes no time at all
            on a machine without a card of its own memory.
        run: Runs a module of the engine.
    """
    threads, now = cpu_threads(), time.time()
    path = _speed_path(state_dir, threads)
    speed = _remembered(path, now)
    if measure and (speed is None or now - speed.at > _AGAIN):
        speed = _keep(path, speed, _measured(threads, run or _run), now)
    cards = read_cards(run)
    return Machine(memory_free(), cards or (), speed.bandwidth if speed else 0.0, threads, cards is None)


def room_of(machine: Machine) -> int:
    """Returns the bytes that a model may take in all: of the cards, or of the memory with some left for the rest.

    Args:
        machine: What there is.
    """
    return max(machine.card_room, int(ROOM_SHARE * machine.free.bytes))


def read_cards(run: Run | None = None) -> tuple[Card, ...] | None:
    """Returns the cards that this build of llama.cpp would use; asks nobody where it is built for none.

    Args:
        run: Runs a module of the engine.

    Returns:
        The cards; none where the machine has none with memory of its own, None where that could not be asked.
    """
    if not has_own_memory(library_dir()):
        return ()
    try:
        found = msgspec.json.decode((run or _run)(("llmchat_engine.host.devices",)), type=tuple[Card, ...])
    except msgspec.DecodeError:
        return None
    return tuple(card for card in found if card.kind == "gpu")


def known_bandwidth(state_dir: Path) -> float:
    """Returns the speed that was measured on this CPU, in bytes a second; 0 where none was within a month.

    Args:
        state_dir: Where it is remembered.
    """
    speed = _remembered(_speed_path(state_dir, cpu_threads()), time.time())
    return speed.bandwidth if speed else 0.0


def cpu_name() -> str:
    """Returns what the CPU calls itself; of a Mac its architecture."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return os.uname().machine


def _measured(threads: int, run: Run) -> float:
    try:
        found = float(run(("llmchat_engine.host.bandwidth", str(threads))))
    except ValueError:
        return 0.0
    return found if 0.0 < found < _FASTEST else 0.0


def _keep(path: Path, before: _Speed | None, bandwidth: float, now: float) -> _Speed | None:
    """Remembers the higher one of what is known and what was measured; returns it."""
    from llmchat_engine.models.disk import private_folders

    if not bandwidth:
        return before
    best = max(bandwidth, before.bandwidth if before else 0.0)
    speed = _Speed(best, before.since if before else now, now)
    temporary = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):  # a disk that is full costs the next run a third of a second
        private_folders(path.parent)
        temporary.touch(0o600)
        temporary.write_bytes(msgspec.json.encode(speed))
        temporary.replace(path)
        return speed
    with contextlib.suppress(OSError):
        temporary.unlink()
    return speed


def _remembered(path: Path, now: float) -> _Speed | None:
    try:
        speed = msgspec.json.decode(path.read_bytes(), type=_Speed)
    except (OSError, msgspec.DecodeError):
        return None
    return speed if 0 < speed.bandwidth < _FASTEST and 0 <= now - speed.since < REMEMBERED else None


def _speed_path(state_dir: Path, threads: int) -> Path:
    import zlib

    identity = f"{cpu_name()}|{os.cpu_count()}|{threads}"
    return state_dir / f"bandwidth-{zlib.crc32(identity.encode()):08x}"


def _run(arguments: Sequence[str]) -> str:
    import subprocess

    # -P: a file of the current directory must not shadow a module.
    command = [sys.executable, "-P", "-m", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.splitlines()
    return lines[-1].strip() if lines and done.returncode == 0 else ""
