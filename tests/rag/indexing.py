"""A process that indexes, to be killed: `python -m tests.rag.indexing STORE`. Says `ready` before it begins."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.rag.doubles import PlainPool, WordEmbedder

from llmchat_rag import ingest, vectors
from llmchat_rag.store import Library


def main(folder: Path) -> None:
    """Updates the collection in small batches, so that there is much between which it can be killed."""
    ingest.BATCH, ingest.FILES = 8, 3
    vectors.TAIL = 0.01
    with Library(folder) as library:
        print("ready", flush=True)
        for _ in ingest.update(library, "notes", WordEmbedder(seconds=0.001), PlainPool(), accept_missing=True):
            pass
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
