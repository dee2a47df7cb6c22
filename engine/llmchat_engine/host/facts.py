"""What this build of llama.cpp is and sees, as one JSON line: `python -P -m llmchat_engine.host.facts STATE_DIR`.

A throw-away process, because a library built for another CPU dies when it is loaded. Opens no model and decides
nothing; `llmchat_engine.build` reads the line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from llmchat_engine.build import Build
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.probe import known_verdict


def facts(state_dir: Path) -> Build:
    """Returns the facts; where the library cannot be loaded, `error` says why and the rest is empty.

    Args:
        state_dir: Where the verdict about AMX is kept.
    """
    try:
        llama = Llama()
        system_info = llama.system_info()
        return Build(
            version=llama.version(),
            system_info=system_info.strip(" |\n"),
            supports_gpu=llama.supports_gpu(),
            devices=llama.devices(),
            rpc=llama.supports_rpc(),
            amx=known_verdict(system_info, state_dir),
        )
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return Build(error=" ".join(f"{type(error).__name__}: {error}".split()))


def main(arguments: Sequence[str]) -> int:
    """Prints the facts."""
    print(msgspec.json.encode(facts(Path(arguments[0]))).decode(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
