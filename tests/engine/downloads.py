"""What the tests of downloads share: a hub with one model, short limits, running work to its end.

Knows the fake hub and the download's door; knows no single test.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from tests.engine.rig import SEED
from tests.hub.server import FakeHub

from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.download import Patience, Source
from llmchat_engine.models.hub.types import HubFile, HubRepo, Reference
from llmchat_engine.models.progress import Progress

T = TypeVar("T")
REPO = "user/model-GGUF"
NAME = "model-Q4_K_M.gguf"
SIZE = 300_000
BRISK = Patience(stall=20.0, first_wait=0.001, longest_wait=0.01, tick=0.05)
"""Waits next to nothing between tries, and long enough for news on a busy machine."""
HASTY = Patience(stall=0.3, tries=200, first_wait=0.001, longest_wait=0.01, tick=0.05)
"""Takes a short silence for a stall; on a busy machine that happens more often than it was arranged."""


def contents(size: int = SIZE, seed: int = 0) -> bytes:
    """Returns bytes that begin as a GGUF does and are random then."""
    return b"GGUF\x03\x00\x00\x00" + random.Random(SEED + seed).randbytes(size - 8)


@contextmanager
def hub_with(files: Mapping[str, bytes] | None = None) -> Iterator[FakeHub]:
    """Runs a hub with one repository."""
    with FakeHub() as hub:
        hub.add(REPO, {NAME: contents()} if files is None else files)
        yield hub


def environ_of(hub: FakeHub, token: str = "") -> dict[str, str]:
    """Returns the environment of a user of this hub."""
    return {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": token, "HOME": "/nonexistent", "NO_PROXY": "127.0.0.1,localhost"}


def door_of(hub: FakeHub, token: str = "") -> Hub:
    """Returns the real door to this hub."""
    return Hub(environ_of(hub, token))


def source_of(hub: FakeHub, name: str = NAME, token: str = "") -> Source:
    """Returns what is downloaded in most tests."""
    repo, door = hub.repos[REPO], door_of(hub, token)
    file = repo.files[name]
    told = HubRepo(REPO, repo.commit, (), "gguf")
    sha256 = file.sha256 if file.large else ""
    found = HubFile(name, len(file.data), sha256)
    return Source(door.address(told, found), door.headers(), found.size, sha256, name, REPO)


def repo_of(hub: FakeHub, name: str = REPO, token: str = "") -> HubRepo:
    """Returns a repository as the real client tells it."""
    return door_of(hub, token).repo(Reference(name))


def run(work: Generator[Progress, None, T]) -> tuple[list[Progress], T]:
    """Runs work to its end; returns what it told and what it made."""
    seen: list[Progress] = []
    while True:
        try:
            seen.append(next(work))
        except StopIteration as end:
            made: T = end.value
            return seen, made


def stop_at(work: Generator[Progress, None, object], done: int) -> None:
    """Closes work as soon as so many bytes are told to be here."""
    for progress in work:
        if progress.done >= done:
            break
    work.close()


def files_in(folder: Path) -> list[str]:
    """Returns every name under a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def no_proxies(patch: pytest.MonkeyPatch) -> None:
    """Has the loopback reached directly, whatever this machine's settings are."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            patch.delenv(name)
