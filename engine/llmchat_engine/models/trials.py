"""Does llama.cpp load this file, and compute a token? Tried in a throw-away process, and remembered.

A file that ends the process is found out here, before it ends one that serves chats: what is known to crash is not
loaded again until the file or llama.cpp changes. Imports no llama_cpp; the other end is host/trial.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from llmchat_engine.errors import ModelUnreadable
from llmchat_engine.models.remembered import recall, remember

if TYPE_CHECKING:
    from llmchat_engine.models.gguf import Header

CONTEXT = 512
"""Tokens of the context that a trial makes."""
LEAST_SECONDS = 60.0
_SLOWEST_DISK = 50e6
"""Bytes a second that a file is granted to be read at."""
_SLACK = 2 << 30
_STACK = 9 << 20
"""A thread's stack: llama.cpp checks each tensor in a thread of its own."""
BLAMED = frozenset({"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV"})
"""The signals by which a process ends itself; any other came from outside and tells nothing of the file."""
READY = b"ready"
"""What the process tells once the library is loaded: what ends it before that is not the file."""
_PLACE = re.compile(r"\S+\.\w{1,4}:\d+: ")
_SAID_WHY = re.compile(r"error loading model[^:]*: ([^;]+)")
_OF_DEVICE = re.compile(r"ggml[-_](cuda|hip|vulkan|sycl|cann|musa|metal|rpc)|CUDA error|RPC", re.IGNORECASE)
"""What a card, or another machine, failed at: a trial loads on the CPU alone, and could not tell better."""
_OF_MEMORY = re.compile(r"alloc|memory|mem_buffer|mmap", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went."""

    ok: bool
    why: str = ""
    """One sentence where it did not go well; names in it are from the file."""
    seconds: float = 0.0
    lasting: bool = True
    """Whether it holds until the file or llama.cpp changes: not where memory or time ran out."""


class TrialTask(msgspec.Struct):
    """What the process is told."""

    path: str
    state_dir: str
    need: int
    """Bytes of memory that such a model takes."""
    room: int
    """Bytes of memory that it may take beside what the library took."""


class Outcome(msgspec.Struct):
    """What the process tells at its end."""

    kind: Literal["ok", "refused", "memory", "empty"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended."""

    ready: bool = True
    outcome: Outcome | None = None
    signal: str = ""
    words: str = ""
    """What it wrote last."""
    limit: float = 0.0
    """The seconds it was granted, where it had to be stopped."""


Runner = Callable[[TrialTask, float], Ended]


def known_trial(path: Path, state_dir: Path) -> Trial | None:
    """Returns how the file fared when it was last tried or loaded; None where it is new or changed.

    Args:
        path: The file.
        state_dir: Where verdicts are kept.
    """
    return recall(state_dir / "trials", path, Trial, _build())


def remember_trial(path: Path, trial: Trial, state_dir: Path) -> None:
    """Keeps a verdict that lasts; any other is forgotten.

    Args:
        path: The file it is about.
        trial: The verdict.
        state_dir: Where verdicts are kept.
    """
    if trial.lasting:
        remember(state_dir / "trials", path, trial, _build())


def refuse_failed(path: Path, state_dir: Path) -> None:
    """Refuses a file that is known to fail, before it ends another process.

    Args:
        path: The file.
        state_dir: Where verdicts are kept.

    Raises:
        ModelUnreadable: It failed when it was last tried or loaded.
    """
    trial = known_trial(path, state_dir)
    if trial is not None and not trial.ok:
        hint = f"download it again, or have it tried again: llmchat models verify {path}"
        raise ModelUnreadable(f"cannot load the model {path}", trial.why, hint)


def note_load(path: Path, state_dir: Path, seconds: float) -> None:
    """Remembers that a host loaded a file, where that is news."""
    known = known_trial(path, state_dir)
    if known is None or not known.ok:
        remember_trial(path, Trial(True, seconds=seconds), state_dir)


def note_death(path: Path, state_dir: Path, signal: str, words: str) -> None:
    """Remembers that a host crashed while it loaded a file.

    Args:
        path: The file.
        state_dir: Where verdicts are kept.
        signal: The name of the signal that ended the host; one that came from outside is no verdict.
        words: What it wrote last.
    """
    # SIGILL: the build is for another CPU, and the host dies of it before it opens any file.
    if signal in BLAMED - {"SIGILL"} and not _OF_DEVICE.search(words):
        remember_trial(path, crash(signal, words), state_dir)


def try_model(path: Path, state_dir: Path, run: Runner | None = None) -> Trial:
    """Loads a model in a throw-away process, has it compute one token, and remembers how that went.

    Args:
        path: The file, of a split model its first part.
        state_dir: Where verdicts are kept.
        run: Runs the process.

    Raises:
        ModelMissing: There is no such file or part, or this user may not read it.
        HostUnreachable: The process cannot be started.
        RequestInvalid: The name of the file is not UTF-8.
    """
    from llmchat_engine.models.gguf import read_header

    try:
        header = read_header(path)
    except ModelUnreadable as error:
        return Trial(False, error.why or error.what, lasting=False)  # each load reads it again, and says the same
    from llmchat_engine.models.fit.need import memory_free

    task, free = task_of(path, header, state_dir), memory_free()
    if task.need > free.bytes:
        why = f"it was not tried: it needs {task.need >> 20:,} MiB of memory and {free.bytes >> 20:,} MiB are free"
        return Trial(False, why, lasting=False)
    began = time.monotonic()
    ended = (run or _run)(task, LEAST_SECONDS + header.file_size / _SLOWEST_DISK)
    trial = judge(ended, time.monotonic() - began)
    remember_trial(path, trial, state_dir)
    return trial


def task_of(path: Path, header: Header, state_dir: Path) -> TrialTask:
    """Returns what the process is told about a file.

    Args:
        path: The file.
        header: Its header.
        state_dir: Where verdicts are kept.
    """
    from llmchat_engine.models.fit.need import memory_needed

    need = memory_needed(header, CONTEXT).total
    room = need + header.file_size + len(header.tensors) * _STACK + _SLACK
    return TrialTask(str(path.absolute()), str(state_dir), need, room)


def judge(ended: Ended, seconds: float = 0.0) -> Trial:
    """Returns what the end of the process says about the file.

    Args:
        ended: How it ended.
        seconds: How long it took.
    """
    if ended.limit:
        return Trial(False, f"it took longer than {ended.limit:,.0f} s", seconds, lasting=False)
    if ended.outcome is not None:
        return _of_outcome(ended.outcome, seconds)
    if not ended.ready:
        how = ended.signal or ended.words or "it said nothing"
        return Trial(False, f"it was not tried: llama.cpp itself does not start here ({how})", seconds, lasting=False)
    if ended.signal in BLAMED:
        return crash(ended.signal, ended.words, seconds)
    how = ended.signal or ended.words or "it said nothing"
    return Trial(False, f"it was not tried to the end: the process was stopped ({how})", seconds, lasting=False)


def crash(signal: str, words: str, seconds: float = 0.0) -> Trial:
    """Returns the verdict about a file that ended a process of llama.cpp.

    Args:
        signal: Its name, as "SIGABRT".
        words: What the process wrote last.
        seconds: How long it took.
    """
    said = words.strip() if "GGML_ASSERT" not in words else _PLACE.sub("", words).strip()
    said = said.rpartition("/")[2] if _PLACE.match(said) else said
    if _OF_MEMORY.search(said):
        return Trial(False, f"it takes more memory than there is: llama.cpp says {said}", seconds, lasting=False)
    told = f"{signal}: {said}" if said else signal
    return Trial(False, f"llama.cpp crashes on this file ({told})", seconds)


def _of_outcome(outcome: Outcome, seconds: float) -> Trial:
    match outcome.kind:
        case "ok":
            return Trial(True, "", seconds)
        case "empty":
            return Trial(False, "its weights are damaged: what it computes is not a number", seconds)
        case "memory":
            return Trial(False, f"it takes more memory than there is: {outcome.why}", seconds, lasting=False)
    if "invalid data" in outcome.why:
        return Trial(False, "its weights are damaged: some are no finite numbers", seconds)
    found = _SAID_WHY.search(outcome.why)
    why = (found[1] if found else outcome.why).strip()
    return Trial(False, f"it cannot be loaded: {why}", seconds, lasting=not _OF_MEMORY.search(outcome.why))


def _run(task: TrialTask, seconds: float) -> Ended:
    from llmchat_engine.models.quantizing.child import Child

    deadline, ready, outcome = time.monotonic() + seconds, False, None
    with Child("llmchat_engine.host.trial", task) as child:
        for line in child.lines():
            if line == READY:
                ready = True
            elif line is not None:
                outcome = msgspec.json.decode(line, type=Outcome)
            if time.monotonic() > deadline:
                return Ended(ready, limit=seconds)
        signal, words = child.ending()
    return Ended(ready, outcome, signal, words)


def _build() -> str:
    """Returns what changes with llama.cpp: size and time of its library, since it is not loaded here."""
    from llmchat_engine.models.fit.offload import library_dir

    folder = library_dir()
    for name in ("libllama.so", "libllama.dylib"):
        try:
            found = (folder / name).stat() if folder else None
        except OSError:
            continue
        if found:
            return f"{found.st_size}-{found.st_mtime_ns}"
    return ""
