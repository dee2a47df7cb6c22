"""A process that saves until it is killed: `python -m tests.engine.kv_writer ROOT SIZE`. Says "ready" first."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tests.engine.kv_rig import KEY, state_of

from llmchat_engine.kvstore import KvStore

CHATS = 3


def ids_of(number: int) -> list[int]:
    """Returns the ids of the n-th save; those of one chat do not continue each other."""
    return [number, *range(200)]


def main(root: Path, size: int) -> None:
    """Saves the same twelve states over and over, each third one shared and forgotten by the chat that brought it."""
    states = [state_of(ids_of(number), size) for number in range(12)]
    store = KvStore(root, KEY, 12 * size)
    print("ready", flush=True)
    for number in count():
        which = number % len(states)
        if which % CHATS:
            store.save(f"chat {which % CHATS}", ids_of(which), states[which], grid=number)
        else:
            store.save(f"persona {number}", ids_of(which), states[which], grid=number, shared=True)
            store.share("chat 1", ids_of(which))
            store.forget(f"persona {number}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
