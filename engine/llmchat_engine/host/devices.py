"""The graphics cards that ggml sees, as one JSON line: `python -P -m llmchat_engine.host.devices`.

A throw-away process, because asking a card opens a context on it that takes hundreds of megabytes until the process
ends. Opens no model; `llmchat_engine.models.fit.machine` reads the line.
"""

from __future__ import annotations

import sys

import msgspec

from llmchat_engine.host.llama import Llama
from llmchat_engine.models.fit.machine import Card


def cards(llama: Llama) -> tuple[Card, ...]:
    """Returns every accelerator with its memory.

    Args:
        llama: The library.
    """
    return tuple(
        Card(device.what, device.kind, device.free, device.total) for device in llama.accelerators(memory=True)
    )


def main() -> int:
    """Prints them."""
    print(msgspec.json.encode(cards(Llama())).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
