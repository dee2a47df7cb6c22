"""Does AMX work here? Some machines list it and die on its first instruction, in every quantised matrix product.

Asked once per CPU and build, in a throw-away process, and remembered in the state directory. Also a program:
`python -m llmchat_engine.host.probe MODEL` loads the model with repacked weights, as they are where PLAIN follows, and
decodes one token.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_engine.build import Amx

if TYPE_CHECKING:
    from llmchat_engine.protocol import Load

PLAIN = "plain"
_TIMEOUT = 120.0
_CRASHES = frozenset({signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT})
Runner = Callable[[Sequence[str]], int]


def extra_buffers(system_info: str, model: str, state_dir: Path, run: Runner | None = None) -> bool:
    """Returns False where repacked weights would crash this CPU.

    Args:
        system_info: What llama.cpp prints of this build.
        model: The file to probe with.
        state_dir: Where the verdict is kept.
        run: Runs a command and returns its exit code, negative for a signal.
    """
    known = known_verdict(system_info, state_dir)
    if known == "unprobed":
        run = run or _run
        command = (sys.executable, "-P", "-m", "llmchat_engine.host.probe", model)
        code = run(command)
        if code != 0 and (-code not in _CRASHES or run((*command, PLAIN)) != 0):
            # It ended for another reason, or the file is what it crashes on: ask again next time.
            return False
        known = "works" if code == 0 else "crashes"
        _remember(verdict_path(system_info, state_dir), known)
    return known != "crashes"


def repacks(system_info: str, order: Load) -> bool:
    """Returns True where copying the weights into this CPU's own layout is safe and gains something."""
    safe = extra_buffers(system_info, order.path, Path(order.state_dir))
    return safe and (order.repackable or lists_amx(system_info))


def lists_amx(system_info: str) -> bool:
    """Returns True where the build would use AMX."""
    return "AMX_INT8 = 1" in system_info


def known_verdict(system_info: str, state_dir: Path) -> Amx:
    """Returns what is known without a probe."""
    if not lists_amx(system_info):
        return "unlisted"
    try:
        known = verdict_path(system_info, state_dir).read_text()
    except OSError:
        known = ""
    return "works" if known == "works" else "crashes" if known == "crashes" else "unprobed"


def verdict_path(system_info: str, state_dir: Path) -> Path:
    """Returns the file that holds the verdict of this CPU and this build."""
    import hashlib
    import platform

    identity = f"{_cpu_name()}|{system_info}|{platform.release()}"
    return state_dir / f"amx-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _cpu_name() -> str:
    import platform

    try:
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def _remember(verdict: Path, known: str) -> None:
    verdict.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = verdict.with_suffix(f".{os.getpid()}")
    temporary.write_text(known)
    temporary.replace(verdict)


def _run(command: Sequence[str]) -> int:
    import subprocess

    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode


def main(arguments: Sequence[str]) -> int:
    """Loads the model as a CPU would and decodes one token; dies of the signal that is looked for, or returns 0."""
    import resource

    from llmchat_engine.host.context import Context, Shape
    from llmchat_engine.host.llama import Llama
    from llmchat_engine.host.model import Model

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    llama = Llama()
    model = Model(llama, arguments[0], gpu_layers=0, extra_buffers=PLAIN not in arguments[1:])
    context = Context(llama, model, Shape(n_ctx=512, threads=1, batch_threads=1))
    # 64 tokens: AMX is used for matrix products, and one row alone takes another path.
    return 0 if context.decode([max(0, model.vocab.bos)] * 64, 0) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
