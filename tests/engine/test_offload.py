"""Which builds put a model into a card's own memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmchat_engine.models.fit.offload import has_own_memory, library_dir


@pytest.mark.parametrize(
    ("files", "own"),
    [
        ((), False),
        (("libggml-cuda.so",), True),
        (("libggml-vulkan.so.0",), True),
        (("libggml-metal.dylib",), False),
        (("libggml-cpu.so", "libggml-base.so"), False),
    ],
)
def test_own_memory(tmp_path: Path, files: tuple[str, ...], own: bool) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert has_own_memory(tmp_path) is own


def test_no_library() -> None:
    assert not has_own_memory(None)


def test_the_installed_library_is_found() -> None:
    directory = library_dir()
    assert directory is not None
    assert next(directory.glob("libllama*"), None)
