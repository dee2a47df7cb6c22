"""Whether this build of llama.cpp puts a model into the memory of a graphics card, seen from the files it came with.

Looks at names only: neither loads the library nor imports llama_cpp. Metal shares the machine's memory and is none.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_OWN_MEMORY = ("cuda", "hip", "vulkan", "sycl", "cann", "musa")


def library_dir() -> Path | None:
    """Returns where llama.cpp's libraries lie; None where llama-cpp-python is not installed."""
    spec = importlib.util.find_spec("llama_cpp")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "lib" if places else None


def has_own_memory(directory: Path | None) -> bool:
    """Returns True where the build is for cards with memory of their own: the machine's memory says nothing then."""
    return directory is not None and any(next(directory.glob(f"libggml-{name}*"), None) for name in _OWN_MEMORY)
