"""Making a model smaller: what would come of it, and a file that is there whole or not at all.

The work is done by a throw-away process around llama.cpp. Knows no terminal; the types are in types.py, what
llama.cpp says meanwhile is read by log.py.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import stat
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import msgspec

from llmchat_engine.errors import EngineError, NotEnoughDisk, NotEnoughMemory, QuantizeFailed, RequestInvalid
from llmchat_engine.models.disk import amount, disk_error, free_bytes, require_room
from llmchat_engine.models.fit.memory import memory_free
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.gguf_layout import FILE_TYPES
from llmchat_engine.models.meter import Meter
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.quantizing.child import Child
from llmchat_engine.models.quantizing.log import QuantizeLog, QuantPlan
from llmchat_engine.models.quantizing.tasks import QuantizeTask
from llmchat_engine.models.quantizing.types import TYPES, QuantType, type_of
from llmchat_engine.models.whole_file import Busy, put_in_place, temporary_beside

__all__ = [
    "TYPES",
    "QuantPlan",
    "QuantType",
    "Quantized",
    "check_target",
    "dry_run",
    "plan",
    "quantize",
    "target_name",
    "type_of",
]

_PROGRAM = "llmchat_engine.host.quantize"
_MEMORY = 700 << 20
"""Bytes that it takes: 340 MiB were measured for a model of 565 MB, and they grow with its largest tensor alone."""
_OTHER_FILE = "name another file as OUT"
_NAMES = sorted({*FILE_TYPES.values(), *(kind.name for kind in TYPES), "FP16", "FP32"}, key=len, reverse=True)
_NAMED_TYPE = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, _NAMES))})(?![A-Za-z0-9_])", re.IGNORECASE)
_PART = re.compile(r"-\d{5}-of-\d{5}$")
_UNCLEAN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Quantized:
    """What was written."""

    path: Path
    kind: QuantType
    size_before: int
    size_after: int
    bits: float
    """Bits a weight."""
    seconds: float
    tensors: int
    fallbacks: Mapping[str, int]
    """Of tensors whose rows do not fit the type: how many got which type instead."""
    requantized: tuple[str, ...]
    """The types of weights that were rounded for the second time."""


def target_name(source: Path, kind: QuantType) -> str:
    """Returns the usual name of what a model becomes: the type in the place of the one that its name tells.

    Args:
        source: Its file, of a split model the first part. A blob without such a name is called as its header calls it.
        kind: What it becomes.
    """
    stem = source.stem if source.suffix.lower() == ".gguf" else _UNCLEAN.sub("-", read_header(source).name).strip("-.")
    stem = _PART.sub("", stem) or "model"
    *_, last = [None, *_NAMED_TYPE.finditer(stem)]
    return f"{stem[: last.start()]}{kind.name}{stem[last.end() :]}.gguf" if last else f"{stem}-{kind.name}.gguf"


def dry_run(source: Path, kind: QuantType) -> int:
    """Returns the bytes of the file that would be written; raises what `plan` does."""
    return plan(source, kind).size


def plan(source: Path, kind: QuantType) -> QuantPlan:
    """Returns what would become of a model; nothing is written.

    Raises:
        ModelError: the source is not a usable GGUF.
        QuantizeFailed: llama.cpp does not take it.
    """
    work = _look(source, kind)
    while True:
        try:
            next(work)
        except StopIteration as end:
            planned: QuantPlan = end.value
            return planned


def _look(source: Path, kind: QuantType) -> Generator[Progress, None, QuantPlan]:
    header, log = read_header(source), QuantizeLog()
    told = Progress("looking at the model", 0, 0, "tensors", what=source.name)
    yield told
    with contextlib.closing(_run(log, source, "", kind, threads=1)) as steps:
        for _ in steps:
            yield told
    return log.plan(header.file_size)


def quantize(
    source: Path,
    target: Path,
    kind: QuantType,
    *,
    allow_requantize: bool = False,
    force: bool = False,
    threads: int = 0,
) -> Generator[Progress, None, Quantized]:
    """Writes a model with other types of weights; the file is there when it is whole. Closing it leaves nothing.

    Args:
        source: The file, of a split model its first part; what is written is one file.
        target: What to write.
        kind: The type.
        allow_requantize: Also from weights that were rounded already, which loses more than either alone.
        force: Replace the target where it is there.
        threads: Of the CPU; 0 takes all that this process may use.

    Raises:
        ModelError: the source is not a usable GGUF.
        RequestInvalid: the target is there, or is the source; or the weights were rounded already.
        NotEnoughDisk: the target does not fit.
        DiskUnwritable: it cannot be written there.
        NotEnoughMemory: less is free than this takes.
        QuantizeFailed: llama.cpp could not do it.
    """
    began = time.monotonic()
    check_target(source, target, force)
    planned = yield from _look(source, kind)
    _check_plan(planned, source, target, allow_requantize)
    try:
        with temporary_beside(target) as temporary:
            yield from _write(planned, source, temporary, target, kind, threads)
            yield Progress("writing to disk", planned.size, planned.size, "bytes", what=target.name)
            check_target(source, target, force)
            put_in_place(temporary, target)
    except Busy:
        why, hint = "another llmchat is writing it", f"wait for it, or {_OTHER_FILE}"
        raise QuantizeFailed(f"{target} cannot be written", why, hint) from None
    except OSError as error:
        raise disk_error(error, target, f"write {target.name}") from error
    return Quantized(
        path=target,
        kind=kind,
        size_before=planned.size_before,
        size_after=target.stat().st_size,
        bits=planned.bits,
        seconds=time.monotonic() - began,
        tensors=len(planned.tensors),
        fallbacks=planned.fallbacks,
        requantized=planned.requantized,
    )


def check_target(source: Path, target: Path, force: bool) -> None:
    """Refuses a place that nothing is to be written to.

    Args:
        source: What is read, of a split model its first part.
        target: What would be written.
        force: Whether a file that is there may be replaced.

    Raises:
        ModelError: the source is not a usable GGUF.
        RequestInvalid: the target is there, is what is read, is no file, or has no name of text.
        DiskUnwritable: it cannot be looked at.
    """
    parts = read_header(source).parts
    try:
        str(target).encode()
        # A link is there even where it leads nowhere: it is the link that would be replaced.
        links, kind = target.is_symlink(), target.stat().st_mode if target.exists() else 0
        is_read = bool(kind) and any(target.samefile(part) for part in parts)
    except UnicodeEncodeError as error:
        raise RequestInvalid("the name of OUT cannot be used", "it is not UTF-8", _OTHER_FILE) from error
    except OSError as error:
        raise disk_error(error, target, f"write {target.name}") from error
    if stat.S_ISDIR(kind):
        raise RequestInvalid(f"{target} is a directory", "OUT is the file to write", _OTHER_FILE)
    if is_read:
        raise RequestInvalid("a model cannot be written over itself", f"{target} is what is read", _OTHER_FILE)
    if kind and not stat.S_ISREG(kind):
        raise RequestInvalid(f"{target} cannot be written", "it is no plain file", _OTHER_FILE)
    if (kind or links) and not force:
        raise RequestInvalid(f"{target} is there already", "it is not replaced unasked", f"--force, or {_OTHER_FILE}")


def _check_plan(planned: QuantPlan, source: Path, target: Path, allow_requantize: bool) -> None:
    """Refuses what would lose more than it seems to, and what there is no memory for."""
    if planned.requantized and not allow_requantize:
        why = f"its weights are {', '.join(planned.requantized)}, and what was rounded once would be rounded again"
        raise RequestInvalid(f"{source.name} is quantised already", why, "take its F16 file, or --allow-requantize")
    if (free := memory_free()).bytes < _MEMORY:
        why = f"it takes {_MEMORY >> 20} MiB and {free.bytes >> 20} MiB are free, limited by {free.limited_by}"
        raise NotEnoughMemory(f"there is no memory to make {target.name}", why, "close other programs")


def _write(
    planned: QuantPlan, source: Path, temporary: Path, target: Path, kind: QuantType, threads: int
) -> Iterator[Progress]:
    """Fills the temporary file; yields how far it is in bytes read, for tensors differ by a factor of thousands."""
    from llmchat_engine.models.fit.cpu import usable_cores

    require_room(target.parent, planned.size, f"write {target.name}")
    before = [0, *accumulate(tensor.bytes for tensor in planned.tensors)]
    meter = Meter(before[-1], source.name)
    with contextlib.closing(_run(QuantizeLog(), source, str(temporary), kind, threads or usable_cores())) as steps:
        for number, _ in steps:
            if meter.due():
                yield meter.told("quantising", before[min(max(0, number - 1), len(before) - 1)])
    read_header(temporary)  # what cannot be loaded is not handed over


def _run(
    log: QuantizeLog, source: Path, target: str, kind: QuantType, threads: int
) -> Generator[tuple[int, str], None, None]:
    """Has the work done; yields number and name of the tensor that it is at, at least twice a second.

    Raises:
        NotEnoughDisk: the disk took no more.
        QuantizeFailed: llama.cpp could not, or the process died.
    """
    task = QuantizeTask(str(source), target, kind.ftype, threads, dry_run=not target)
    with Child(_PROGRAM, task) as child:
        for line in child.lines():
            if line is not None:
                log.feed(msgspec.json.decode(line, type=str))
            yield log.current
        ended = child.wait()
    if ended or log.failure:
        raise _failure(source, target, kind, log.failure or ended)


def _failure(source: Path, target: str, kind: QuantType, why: str) -> EngineError:
    """Returns what it means that it could not be done."""
    what, folder = f"{source.name} cannot be quantised to {kind.word}", Path(target).parent
    if target and "iostream" in why:  # all that C++ tells of a write that was refused
        free = free_bytes(folder)
        left = "" if free is None else f", {amount(free)} are left"
        hint = f"make room on that disk: df -h {shlex.quote(str(folder))}"
        return NotEnoughDisk(what, f"the disk took no more of it{left}", hint)
    return QuantizeFailed(what, why, "llmchat models quantize --help lists the types")
