"""Which builds put a model into a card's own memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmchat_engine.models.offload import has_own_memory, library_dir


@pytest.mark.parametrize(
    ("files", "gpu_layers", "own"),
    [
        ((), -1, False),
        (("libggml-cuda.so",), -1, True),
        (("libggml-cuda.so",), 0, False),
        (("libggml-vulkan.so.0",), 12, True),
        (("libggml-metal.dylib",), -1, False),
        (("libggml-cpu.so", "libggml-base.so"), -1, False),
    ],
)
def test_own_memory(tmp_path: Path, files: tuple[str, ...], gpu_layers: int, own: bool) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert has_own_memory(gpu_layers, tmp_path) is own


def test_no_library() -> None:
    assert not has_own_memory(-1, None)


def test_the_installed_library_is_found() -> None:
    directory = library_dir()
    assert directory is not None
    assert next(directory.glob("libllama*"), None)
