"""Every test of the hall lives in a home of its own, with an environment that says nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmchat_tui.history import History

if TYPE_CHECKING:
    from tests.tui.model_stage import Stage

_SILENT = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")
_STORES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "OLLAMA_MODELS", "LLAMA_CACHE", "XDG_CACHE_HOME")
_TOKENS = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The LLMCHAT_HOME of this test, and its HOME: the models and the token of whoever runs it are not seen."""
    said = {*_SILENT, *_STORES, *_TOKENS}
    for name in [name for name in os.environ if name.startswith("LLMCHAT_") or name in said]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("LLMCHAT_HOME", str(home))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("llmchat_engine.models.stores._SYSTEM_OLLAMA", home / "ollama")
    return home


@pytest.fixture
def history(home: Path) -> Iterator[History]:
    """The chats of this test's home."""
    with History.open(home / "chats.db") as history:
        yield history


@pytest.fixture
def stage(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A machine of known size and a hub, for commands about models."""
    from tests.tui.model_stage import staged

    with staged(home, monkeypatch) as made:
        yield made
