"""The library's log and who reads it: each in a process of its own, since there is one log in a process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from llmchat_engine.host.llama import Llama, import_bindings

def load_nothing():
    c = import_bindings()
    assert not c.llama_model_load_from_file(b"/nowhere.gguf", c.llama_model_default_params())

lines = []
llama = Llama(lines.append)
load_nothing()
assert any("/nowhere.gguf" in line for line in lines), lines
del llama
gc.collect()
others = [bytes(200) for _ in range(100_000)]  # in the memory that the callback had
load_nothing()
print("alive", flush=True)
"""


def test_a_line_of_log_after_its_reader_is_gone_ends_nothing() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "alive\n"), ran.stderr
