"""A process that indexes, to be killed: `python -m tests.rag.indexing STORE DIMENSION`.

Says `ready` before it begins. Another dimension is another embedder, by which everything is read again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.rag.doubles import DIMENSION, PlainPool, WordEmbedder

from llmchat_rag import ingest, vectors
from llmchat_rag.errors import StoreBusy
from llmchat_rag.store import Library


def main(folder: Path, dimension: int) -> None:
    """Updates the collection in small batches, so that there is much between which it can be killed."""
    ingest.BATCH, ingest.FILES = 8, 3
    vectors.TAIL = 0.01
    with Library(folder) as library:
        print("ready", flush=True)
        embedder, force = WordEmbedder(dimension, seconds=0.001), dimension != DIMENSION
        for _ in ingest.update(library, "notes", embedder, PlainPool(), force=force, accept_missing=True):
            pass
    print("done", flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except StoreBusy:
        print("StoreBusy", flush=True)
        sys.exit(1)
