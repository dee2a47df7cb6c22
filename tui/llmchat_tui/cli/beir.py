"""Data in BEIR's format as a collection of its own, indexed once, in the cache. For measuring; no chat ever sees it.

Each document becomes a file, so that it is read, cut and embedded exactly like a user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_tui.paths import private_dir

if TYPE_CHECKING:
    from llmchat_rag.store import Library
    from llmchat_tui.cli.app import App
    from llmchat_tui.console import Console

_NAME = "corpus"
_BELOW = 1000
"""Files of a folder."""


@contextmanager
def indexed_corpus(app: App, console: Console, data: Path) -> Iterator[tuple[Library, Mapping[int, str]]]:
    """Yields a store that holds the corpus, and what the data calls each of its documents.

    Args:
        app: this run.
        console: where progress goes.
        data: the folder with corpus.jsonl.

    Raises:
        RagError: it cannot be read.
        Interrupted: a signal stopped it; the next run goes on from there.
    """
    from llmchat_rag.store import Library
    from llmchat_tui.cli.docs_indexing import Indexing, stoppable

    digest = sha256(str(data.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = private_dir(app.paths.cache_dir / "eval" / digest)
    console.status("writing the corpus")
    names = _write(data, private_dir(place / "files"))
    with stoppable(console) as stop, Library(place) as library:
        run = Indexing(app, console, library, app.embedder(passages=True), stop)
        try:
            collection = library.add_collection(_NAME, place / "files")
            force = library.embedder() is not None and library.embedder() != run.mark
            run.tell_failures(run.update(collection, force=force, accept_missing=True, ask=False))
        finally:
            run.close()
        yield library, {one.id: names[one.path] for one in library.documents(_NAME) if one.path in names}


def _write(data: Path, folder: Path) -> dict[str, str]:
    """Writes what is not there yet; returns the document of each file."""
    from llmchat_rag.evaluate import read_corpus

    names: dict[str, str] = {}
    for number, text in enumerate(read_corpus(data)):
        name = f"{number // _BELOW:04}/{number:07}.md"
        names[name] = text.key
        path = folder / name
        written = f"# {' '.join(text.title.split())}\n\n{text.body}\n" if text.title.strip() else text.body
        wanted = written.encode("utf-8", "surrogatepass")
        if not path.is_file() or path.stat().st_size != len(wanted):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(wanted)
    return names
