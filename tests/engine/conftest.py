"""The engine room's fixtures: tiny models, private places, engines with real hosts, llama.cpp in this process.

Every test that gets `places` is checked at its end: no host process that it started may be left.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.engine.rig import SEED, host_pids, kill_hosts, until
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.client import LocalEngine
from llmchat_engine.host.llama import Llama
from llmchat_engine.launch import Places
from llmchat_engine.types import ModelSpec

if TYPE_CHECKING:
    from tests.engine.thinkers import Thinker

LEAVES_WITHIN = 5.0
StartEngine = Callable[..., LocalEngine]


def pytest_report_header() -> str:
    """Names the seed of the random tests."""
    return f"LLMCHAT_TEST_SEED={SEED}"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the tiny models of this run."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny_chat(models: Path) -> Path:
    """A chat model of 0.4 MB; a token takes 0.1 ms."""
    return tiny_llama(models / "tiny-chat.gguf")


@pytest.fixture(scope="session")
def slow_chat(models: Path) -> Path:
    """A chat model of 37 MB: long enough at work to be stopped."""
    return tiny_llama(models / "slow-chat.gguf", n_ctx_train=8192, layers=12, width=256)


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the AMX probe keeps its verdict: once for the whole run, as on a real machine."""
    return tmp_path_factory.mktemp("state")


def open_places(verdicts: Path) -> Places:
    """Makes private directories for sockets and logs."""
    # Not tmp_path: with pytest's long names a socket's path passes the limit of 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="lc-"))
    assert len(str(root / "run" / "0123456789abcdef.sock")) < 100
    return Places(root / "run", root / "logs", verdicts)


def close_places(places: Places) -> None:
    """Waits for the hosts to leave, removes the directories, and fails where a host had to be killed."""
    left_alone = until(lambda: not host_pids(places.runtime), LEAVES_WITHIN)
    left = host_pids(places.runtime)
    kill_hosts(places.runtime)
    shutil.rmtree(places.runtime.parent)
    assert left_alone, f"host processes left over: {left}"


@pytest.fixture
def places(verdicts: Path) -> Iterator[Places]:
    """Private directories of one test."""
    places = open_places(verdicts)
    yield places
    close_places(places)


@pytest.fixture
def start(places: Places, tiny_chat: Path) -> Iterator[StartEngine]:
    """Makes engines with hosts of their own, which leave with them unless a keepalive is given."""
    engines: list[LocalEngine] = []

    def make(
        path: Path = tiny_chat, *, keepalive: float = 0.0, give_up_after: float = 10.0, n_ctx: int = 0
    ) -> LocalEngine:
        spec = ModelSpec(path, n_ctx=n_ctx, threads=1)
        engines.append(LocalEngine(spec, places, keepalive=keepalive, give_up_after=give_up_after))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def engine(verdicts: Path, tiny_chat: Path) -> Iterator[LocalEngine]:
    """One host for all tests that leave it as they found it. What is in its cache is anybody's."""
    places = open_places(verdicts)
    engine = LocalEngine(ModelSpec(tiny_chat, threads=1), places, keepalive=0.0)
    yield engine
    engine.close()
    close_places(places)


@pytest.fixture(scope="session")
def llama() -> Llama:
    """llama.cpp in this process, for what a host does not tell."""
    return Llama()


@pytest.fixture
def open_thinker(llama: Llama, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Thinker]]:
    """Loads tiny models that think, by the name of their family."""
    from tests.engine.thinkers import Thinker, thinker_path

    opened: list[Thinker] = []

    def make(kind: str) -> Thinker:
        opened.append(Thinker(llama, thinker_path(kind, models), monkeypatch))
        return opened[-1]

    yield make
    for thinker in opened:
        thinker.close()
