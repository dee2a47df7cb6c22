"""How fast threads read memory together, as one number: `python -P -m llmchat_engine.host.bandwidth THREADS`.

A throw-away process, because it holds 256 MiB for a third of a second. A token waits for the weights to be read: this
bounds how fast they come. Knows no model and no llama.cpp; `llmchat_engine.models.fit.machine` remembers the number.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence

BYTES = 256 << 20
"""Far more than any cache holds of it: 32 MiB of it in the largest level would lift the number by an eighth."""
ROUNDS = 6
_BUDGET = 0.4
"""Seconds after which no further round begins; six take 0.05 s at 30 GB/s."""


def measure(threads: int, size: int = BYTES) -> float:
    """Returns bytes a second: the best of several rounds, since what else the machine does only takes away.

    Args:
        threads: That read, each a part of its own.
        size: Bytes in all.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported
    import numpy as np

    # Written, not only reserved: pages that were never touched are all the same one, and in the cache.
    parts = [np.ones(size // 4 // threads, np.float32) for _ in range(threads)]
    best, began = 0.0, time.perf_counter()
    for _ in range(ROUNDS):
        # The dot product with itself: with sum and max one core is the bound, 36 against 43 GB/s on three.
        readers = [threading.Thread(target=part.dot, args=(part,)) for part in parts]
        start = time.perf_counter()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        now = time.perf_counter()
        best = max(best, size / (now - start))
        if now - began > _BUDGET:
            break
    return best


def main(arguments: Sequence[str]) -> int:
    """Prints bytes a second."""
    print(f"{measure(max(1, int(arguments[0]))):.0f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
