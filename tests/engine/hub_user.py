"""A fake hub with one repository, and hubs of a user who has nothing but what is named. Knows no single test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hub.server import FakeHub

from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.types import Reference

FILES = {"m-Q4_K_M.gguf": b"four" * 100, "m-Q8_0.gguf": b"eight" * 200, "README.md": b"# m"}
REPO = Reference("user/m-GGUF")
OpenHub = Callable[..., Hub]


@contextmanager
def one_repo() -> Iterator[FakeHub]:
    """Yields a hub that has it."""
    with FakeHub() as fake:
        fake.add("user/m-GGUF", FILES, base_model="user/m")
        yield fake


def hubs_of(fake: FakeHub, folder: Path) -> OpenHub:
    """Returns what makes hubs from an environment; the user's own folder is an empty one."""

    def make(**environ: str) -> Hub:
        return Hub({"HF_ENDPOINT": fake.endpoint, "HF_HOME": str(folder), **environ})

    return make
