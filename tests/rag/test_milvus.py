"""A whole store searched through a Milvus server, and what a server that is not there is told as."""

from __future__ import annotations

import importlib.util
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.rag.doubles import DIMENSION, PlainPool
from tests.rag.places import Notes, essay, notes, questions

from llmchat_rag import milvus
from llmchat_rag.errors import VectorServerError
from llmchat_rag.ingest import update
from llmchat_rag.milvus import MilvusVectors, server_vectors
from llmchat_rag.query import Query
from llmchat_rag.search import Searcher
from llmchat_rag.store import Position

HAS_MILVUS = all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite"))
needs_milvus = pytest.mark.skipif(not HAS_MILVUS, reason="pymilvus and milvus-lite are not installed: make test-milvus")
ONE = np.ones((1, DIMENSION), np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        yield made


def index(place: Notes) -> Notes:
    rng = random.Random(8)
    for number in range(20):
        place.write(f"{number}.md", essay(rng))
    return place


@needs_milvus
def test_the_same_passages_as_without_a_server(place: Notes, tmp_path: Path) -> None:
    index(place)
    asked = questions(8, 10)
    with closing(MilvusVectors(str(tmp_path / "milvus.db"), DIMENSION)) as server:
        for change in range(3):
            place.write(f"{change}.md", f"changed {change}")
            (place.root / f"{10 + change}.md").unlink()
            list(update(place.library, "notes", place.embedder, PlainPool(), vectors=server))
            with (
                Searcher(place.library, place.embedder, server) as there,
                Searcher(place.library, place.embedder) as here,
            ):
                for question in asked:
                    mine, theirs = (one.search(Query(question)).passages for one in (here, there))
                    assert [passage.chunk_id for passage in mine] == [passage.chunk_id for passage in theirs]


@needs_milvus
def test_a_server_that_was_emptied_is_filled_again(place: Notes, tmp_path: Path) -> None:
    index(place).update()
    for name in ("one.db", "two.db"):
        with closing(MilvusVectors(str(tmp_path / name), DIMENSION)) as server:
            assert server.position is None
            with Searcher(place.library, place.embedder, server) as searcher:
                assert searcher.search(Query("lantern")).passages
            assert server.count() == place.library.count()


@needs_milvus
def test_two_stores_on_one_server_know_nothing_of_each_other(tmp_path: Path) -> None:
    url = str(tmp_path / "milvus.db")
    with closing(server_vectors(url, DIMENSION, tmp_path / "mine")) as mine:
        mine.begin(1, patient=False)
        mine.add([1], ONE, 1)
        mine.flush(Position(3, "ab" * 8))
        with closing(server_vectors(url, DIMENSION, tmp_path / "theirs")) as theirs:
            assert (theirs.position, theirs.count()) == (None, 0)
            theirs.begin(1, patient=False)
        assert mine.count() == 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on a port, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
    command += ["--data-dir", str(tmp_path / "data"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not answers(port):
                assert process.poll() is None
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@needs_milvus
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_hangs_or_dies_is_told_in_time(
    server: tuple[str, subprocess.Popen[bytes]],
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(milvus, "_ASKING", 2.0)
    url, process = server
    with closing(MilvusVectors(url, DIMENSION)) as vectors:
        vectors.begin(1, patient=False)
        vectors.add([1], ONE, 1)
        vectors.flush(Position(3, "ab" * 8))
        assert vectors.search(ONE[0], 1)[0][0] == 1
        process.send_signal(number)
        began = time.monotonic()
        with pytest.raises(VectorServerError) as caught:
            vectors.search(ONE[0], 1)
        assert time.monotonic() - began < 10
        assert "llmchat config unset vector_server" in caught.value.hint
    assert capfd.readouterr().err == ""


def test_without_pymilvus_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(VectorServerError, match="not installed") as caught:
        MilvusVectors("http://localhost:19530", DIMENSION)
    assert caught.value.hint.endswith("install pymilvus")


class Unauthenticated(Exception):
    """A failure of gRPC, as pymilvus lets it through."""

    def details(self) -> str:
        return "auth check failure"


def test_a_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def __init__(self, uri: str, **_: object) -> None:
            assert uri == "http://me:p@ss/word@host:19530"

        def has_collection(self, name: str, **_: object) -> bool:
            raise Unauthenticated

        def close(self) -> None:
            pass

    double = SimpleNamespace(MilvusClient=Client, MilvusException=OSError, DataType=None)
    monkeypatch.setitem(sys.modules, "pymilvus", double)
    monkeypatch.setitem(sys.modules, "grpc", SimpleNamespace(RpcError=Unauthenticated))
    with pytest.raises(VectorServerError) as caught:
        MilvusVectors("http://me:p@ss/word@host:19530", DIMENSION)
    assert str(caught.value) == "Milvus at http://host:19530 fails — auth check failure"
