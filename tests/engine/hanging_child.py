"""Quantises in a dry run as it should; else writes a few bytes, and hangs until its caller is gone."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from llmchat_engine.host.pipe import Pipe
from llmchat_engine.host.quantize import quantize
from llmchat_engine.models.quantizing.tasks import QuantizeTask

pipe = Pipe()
task = msgspec.json.decode(pipe.task(), type=QuantizeTask)
if task.dry_run:
    pipe.leave(quantize(pipe, task))
Path(task.target).write_bytes(b"GGUF")
threading.Event().wait()
