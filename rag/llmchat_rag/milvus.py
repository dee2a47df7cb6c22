"""The index of vectors on a Milvus server, for stores that outgrow one machine. The only importer of pymilvus.

The server holds ids, vectors and the collection of each; texts and words stay in the store. Which state of the store
that is stands in the row with id 0, beside the vectors, so a server that was emptied says that it is.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmchat_rag.errors import VectorServerError
from llmchat_rag.store import Position

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors

_MARK = 0
"""The id of the row that is no passage; those begin at 1."""
_NOBODY = -1
_BATCH = 1000
"""Rows of a request: 1.5 MB with 384 dimensions, where gRPC takes 64 MB."""
_INDEX = {"index_type": "HNSW", "metric_type": "IP", "params": {"M": 32, "efConstruction": 80}}
_SEARCH = {"metric_type": "IP", "params": {"ef": 128}}
_ASKING = 10.0
"""Seconds until a question is given up; without a limit pymilvus tries a server that hangs for minutes."""
_WRITING = 120.0
_HERE = "start the server, or search on this machine: llmchat config unset vector_server"


def server_vectors(url: str, dimension: int, folder: Path) -> MilvusVectors:
    """Returns the index of one store on a server; another store there, or another user's, has another one.

    Args:
        url: of the server.
        dimension: of the vectors.
        folder: of the store.

    Raises:
        VectorServerError: the server does not answer, or pymilvus is not installed.
    """
    owner = f"{os.uname().nodename}\0{os.path.realpath(folder)}"
    return MilvusVectors(url, dimension, f"llmchat_{blake2b(os.fsencode(owner), digest_size=8).hexdigest()}")


class MilvusVectors:
    """Vectors on a server.

    Args:
        url: `http://host:19530`, with `user:password@` where it asks for them; or the path of a milvus-lite database
            ending in `.db`, for trying it out.
        dimension: of the vectors.
        name: of what holds them there.

    Raises:
        VectorServerError: the server does not answer, or pymilvus is not installed.
    """

    def __init__(self, url: str, dimension: int, name: str = "llmchat") -> None:
        self.name = f"Milvus at {_without_password(url)}"
        self.dimension = dimension
        self._table = name
        self._client, self._failures, self._types = _connected(self.name, url)
        try:
            self._position = self._stored_position()
        except VectorServerError:
            self.close()
            raise

    @property
    def position(self) -> Position | None:
        """The state of the store that it holds; None where it holds nothing that can be used."""
        return self._position

    @property
    def settled(self) -> Position | None:
        """The same: a server forgets nothing with this process."""
        return self._position

    def begin(self, expected: int, *, patient: bool) -> None:  # noqa: ARG002
        """Empties it; the server makes its graph by itself."""
        self._position = None
        with self._translated():
            if self._is_there():
                self._client.drop_collection(self._table, timeout=_WRITING)
            self._client.create_collection(
                self._table,
                schema=self._schema(),
                index_params=self._index(),
                consistency_level="Strong",
                timeout=_WRITING,
            )

    def add(self, ids: Sequence[int], vectors: Vectors, collection: int) -> None:
        """Adds vectors; adding one again changes nothing."""
        rows = [
            {"id": int(key), "collection": collection, "note": "", "vector": vector}
            for key, vector in zip(ids, np.ascontiguousarray(vectors, dtype=np.float32), strict=True)
        ]
        with self._translated():
            for start in range(0, len(rows), _BATCH):
                self._client.upsert(self._table, rows[start : start + _BATCH], timeout=_WRITING)

    def delete(self, ids: Sequence[int]) -> None:
        """Takes vectors out."""
        with self._translated():
            for start in range(0, len(ids), _BATCH):
                some = [int(key) for key in ids[start : start + _BATCH]]
                self._client.delete(self._table, ids=some, timeout=_WRITING)

    def search(self, vector: Vector, k: int, collections: Sequence[int] = ()) -> list[tuple[int, float]]:
        """Returns the nearest ids and their cosines, best first."""
        wanted = f"collection in {sorted(int(key) for key in collections)}" if collections else f"id > {_MARK}"
        with self._translated():
            if not self._is_there():
                return []
            (found,) = self._client.search(
                self._table,
                [np.asarray(vector, dtype=np.float32)],
                filter=wanted,
                limit=k,
                search_params=_SEARCH,
                timeout=_ASKING,
            )
        hits = [(int(hit["id"]), float(hit["distance"])) for hit in found]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    def count(self) -> int:
        """Returns how many vectors can be found."""
        with self._translated():
            if not self._is_there():
                return 0
            rows = self._client.query(self._table, filter=f"id > {_MARK}", output_fields=["count(*)"], timeout=_ASKING)
        return int(rows[0]["count(*)"])

    def outgrown(self) -> bool:
        """Returns False: the server keeps its own house."""
        return False

    def flush(self, position: Position) -> None:
        """Makes what was added last, and remembers which state of the store that is."""
        note = f"{position.generation} {position.stamp} {self.dimension}"
        with self._translated():
            # Two steps, so that a state is claimed only for what is safe.
            self._client.flush(self._table, timeout=_WRITING)
            row = {"id": _MARK, "collection": _NOBODY, "note": note, "vector": np.zeros(self.dimension, np.float32)}
            self._client.upsert(self._table, [row], timeout=_WRITING)
            self._client.flush(self._table, timeout=_WRITING)
        self._position = position

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def _schema(self) -> Any:
        types = self._types
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("collection", types.INT64)
        schema.add_field("note", types.VARCHAR, max_length=100)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=self.dimension)
        return schema

    def _index(self) -> Any:
        index = self._client.prepare_index_params()
        index.add_index("vector", **_INDEX)
        return index

    def _stored_position(self) -> Position | None:
        with self._translated():
            if not self._is_there():
                return None
            self._client.load_collection(self._table, timeout=_WRITING)
            rows = self._client.get(self._table, ids=[_MARK], output_fields=["note"], timeout=_ASKING)
        parts = str(rows[0]["note"]).split() if rows else []
        if len(parts) != 3 or not parts[0].isdigit() or parts[2] != str(self.dimension):
            return None
        return Position(int(parts[0]), parts[1])

    def _is_there(self) -> bool:
        return bool(self._client.has_collection(self._table, timeout=_ASKING))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise VectorServerError(f"{self.name} fails", _reason(error), _HERE) from error


def _connected(name: str, url: str) -> tuple[Any, tuple[type[Exception], ...], Any]:
    """Returns a client, what it raises, and the types of fields."""
    try:
        pymilvus, grpc = import_module("pymilvus"), import_module("grpc")
    except ImportError as error:
        from llmchat_rag.embed.finding import install_command

        hint = install_command("pymilvus")
        raise VectorServerError(f"{name} cannot be used", "pymilvus is not installed", hint) from error
    # It logs a page of traceback for each failure that it also raises.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
    failures = (pymilvus.MilvusException, grpc.RpcError)
    try:
        return pymilvus.MilvusClient(uri=url, timeout=_ASKING), failures, pymilvus.DataType
    except (*failures, OSError, ValueError) as error:
        raise VectorServerError(f"{name} does not answer", _reason(error).replace(url, "its url"), _HERE) from error


def _reason(error: Exception) -> str:
    """Returns what went wrong in the words of the server, or of pymilvus."""
    details = getattr(error, "details", None)
    return str(getattr(error, "message", "") or (details() if callable(details) else "") or error)


def _without_password(url: str) -> str:
    """Returns an address as it can be shown."""
    return re.sub("//.*@", "//", url, count=1)
