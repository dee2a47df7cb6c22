"""Every failure that leaves the document room.

    RagError                        what failed, why, and the command that helps
    ├── StoreError                  the file that holds documents, passages and vectors
    │   ├── StoreDamaged            it is damaged, or another program's
    │   ├── StoreUnwritable         read-only, no space, no permission
    │   └── StoreBusy               another process is indexing
    ├── CollectionMissing           no collection of that name
    ├── CollectionExists            there is one already, with another root
    ├── RootMissing                 the folder of a collection is not there
    ├── FilesMissing                half of a collection's files or more are gone at once: to be asked about
    ├── NothingRead                 all that is asked waits to be read again
    ├── EmbedderError               the model that makes vectors
    │   ├── EmbedderMissing         it is not on this machine, or what runs it is not installed
    │   ├── EmbedderMismatch        the vectors that are stored were made by another one
    │   └── EmbedderBroken          its files cannot be used
    ├── VectorServerError           the vector server does not answer, or refuses
    └── ParseError                  a file cannot be read as what it seems to be
        └── NothingToRead           it is empty, or no document at all

Knows no exit codes and no screens.
"""

from __future__ import annotations

import shlex


class RagError(Exception):
    """Base of the tree. `what` and `why` make one line; `hint` is a command or a next step, or empty."""

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(f"{what} — {why}" if why else what)
        self.what = what
        self.why = why
        self.hint = hint


class StoreError(RagError):
    """The store cannot be used."""


class StoreDamaged(StoreError):
    """It is damaged, or it is another program's file."""


class StoreUnwritable(StoreError):
    """It is read-only, or the disk is full."""


class StoreBusy(StoreError):
    """Another process is indexing; reading is not affected."""


class CollectionMissing(RagError):
    """There is no collection of that name."""


class CollectionExists(RagError):
    """There is a collection of that name, with another root."""


class RootMissing(RagError):
    """The folder of a collection is not there."""


class FilesMissing(RagError):
    """Half of a collection's files or more are gone at once: an unmounted disk looks like this."""

    def __init__(self, collection: str, missing: int, known: int) -> None:
        super().__init__(
            f"{missing:,} of {known:,} files of {collection} are gone",
            "nothing was changed; a disk that is not mounted looks like this",
            f"llmchat docs update {shlex.quote(collection)} --accept-missing",
        )
        self.collection, self.missing, self.known = collection, missing, known


class NothingRead(RagError):
    """All that is asked waits to be read again: by another embedder, or after a repair."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting:,} documents wait to be read again, and nothing else is there",
            "another embedding model was chosen, or the store was repaired, and no update has ended since",
            "llmchat docs update",
        )


class EmbedderError(RagError):
    """The embedding model is the problem."""


class EmbedderMissing(EmbedderError):
    """It is not on this machine, or what runs it is not installed."""


class EmbedderMismatch(EmbedderError):
    """The vectors that are stored were made by another model."""


class EmbedderBroken(EmbedderError):
    """Its files cannot be used."""


class VectorServerError(RagError):
    """The vector server does not answer, or refuses."""


class ParseError(RagError):
    """A file cannot be read as what it seems to be."""


class NothingToRead(ParseError):
    """It is empty, or no document at all: not a failure."""
