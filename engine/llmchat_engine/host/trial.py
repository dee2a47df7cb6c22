"""Loads a model and computes one token, in a process that may die of it: `python -P -m llmchat_engine.host.trial`.

`llmchat_engine.models.trials` starts it, tells it which file on stdin, and judges how it ends. Decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

import msgspec

from llmchat_engine.errors import EngineError, GenerationFailed, NotEnoughMemory
from llmchat_engine.host.llama import Llama
from llmchat_engine.models.trials import CONTEXT, READY, Outcome, TrialTask


def attempt(llama: Llama, task: TrialTask) -> Outcome:
    """Returns how the model fared, where this process outlives it.

    Args:
        llama: The library.
        task: The file.
    """
    from llmchat_engine.host.context import Context, Shape
    from llmchat_engine.host.model import Model
    from llmchat_engine.host.probe import extra_buffers

    repack = extra_buffers(llama.system_info(), task.path, Path(task.state_dir))
    _bound(llama, task.room)
    try:
        model = Model(llama, task.path, gpu_layers=0, extra_buffers=repack, check_tensors=True)
        context = Context(llama, model, Shape(n_ctx=CONTEXT, threads=1, batch_threads=1, gpu_layers=0))
        context.decode([max(0, model.vocab.bos)], 0)
        logits = context.logits()
    except (NotEnoughMemory, MemoryError) as error:
        return Outcome("memory", getattr(error, "why", "") or "no memory")
    except GenerationFailed as error:
        return Outcome("refused", "; ".join((error.why, *llama.warnings)))
    except EngineError as error:
        return Outcome("refused", error.why)
    return Outcome("empty" if bool((logits != logits).any()) else "ok")


def _bound(llama: Llama, room: int) -> None:
    """Limits what this process may take from now on; not beside a card, whose driver maps more than any machine has."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if llama.devices():
        return
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (mapped + room, mapped + room))


def main() -> int:
    """Tells READY once the library is loaded, then the outcome."""
    from llmchat_engine.host.pipe import Pipe

    pipe = Pipe()
    task = msgspec.json.decode(pipe.task(), type=TrialTask)
    llama = Llama()
    pipe.tell(READY)
    pipe.tell(msgspec.json.encode(attempt(llama, task)))
    pipe.leave()


if __name__ == "__main__":
    sys.exit(main())
