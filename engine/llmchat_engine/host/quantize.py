"""Quantises a model, as a throw-away process: it cannot be stopped, and llama.cpp may end it.

Tells llama.cpp's own log as JSON strings, one a line; models/quantizing/quantize.py reads them, and decides everything.
"""

from __future__ import annotations

import ctypes
import os

import msgspec

from llmchat_engine.host.llama import import_bindings
from llmchat_engine.host.pipe import Pipe
from llmchat_engine.models.quantizing.tasks import QuantizeTask

_BUFFER = 256 << 20
"""Bytes of rows that are kept at once; llama.cpp's own 8 GiB are no faster (0.50 s against 0.43 for 565 MB to q8_0)."""


def quantize(pipe: Pipe, task: QuantizeTask) -> int:
    """Returns 0 where llama.cpp says that it succeeded."""
    c = import_bindings()

    def on_log(_level: int, text: bytes, _data: object) -> None:
        pipe.tell(msgspec.json.encode(text.decode("utf-8", "replace")))

    # The reference must outlive every call into the library: a collected callback is a segfault.
    callback = c.llama_log_callback(on_log)
    c.llama_log_set(callback, None)
    c.llama_backend_init()
    params = c.llama_model_quantize_default_params()
    params.ftype, params.nthread = task.ftype, task.threads
    params.dry_run = task.dry_run
    params.allow_requantize = True  # whether it may is decided by who asks, from a dry run
    params.max_buf_size = _BUFFER
    source, target = os.fsencode(task.source), os.fsencode(task.target)
    return int(c.llama_model_quantize(source, target, ctypes.byref(params)))


def main() -> None:
    """Does what stdin says; never returns."""
    pipe = Pipe()
    task = msgspec.json.decode(pipe.task(), type=QuantizeTask)
    pipe.leave(0 if quantize(pipe, task) == 0 else 1)


if __name__ == "__main__":
    main()
