"""The exact commands that install llmchat, or install it again, for one accelerator.

Pure strings: knows nothing of this machine, runs nothing and imports nothing. docs/install.md is generated from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Accelerator = Literal["cpu", "cuda", "metal", "vulkan", "rocm"]

CMAKE_FLAGS: Mapping[Accelerator, str] = {
    "cpu": "-DGGML_METAL=off",
    "cuda": "-DGGML_CUDA=on",
    "metal": "-DGGML_METAL=on",
    "vulkan": "-DGGML_VULKAN=on",
    "rocm": "-DGGML_HIP=on",
}
"""What llama.cpp's build is told. Metal is on by default on a Mac, so the CPU build has to switch it off."""

_SOURCE = '"llmchat-tui[offline] @ git+https://REPOSITORY"'
_CONSTRAINTS = "https://REPOSITORY/raw/HEAD/constraints.txt"


def install_commands(accelerator: Accelerator) -> dict[str, str]:
    """Returns one shell command each for pipx, uv and pip.

    Every command compiles llama.cpp again and ignores cached builds: a wheel that was built for another accelerator
    has the same name and version, so the installers cannot tell the two apart. pipx passes --force-reinstall itself.

    Args:
        accelerator: What llama.cpp shall run on.
    """
    build = f'CMAKE_ARGS="{CMAKE_FLAGS[accelerator]}"'
    fresh = "--no-cache-dir --no-binary llama-cpp-python"
    return {
        "pipx": f'{build} pipx install --force --pip-args="{fresh} --constraint {_CONSTRAINTS}" {_SOURCE}',
        "uv": (
            f"{build} uv tool install --force --no-cache --reinstall-package llama-cpp-python"
            f" --no-binary-package llama-cpp-python --constraints {_CONSTRAINTS} {_SOURCE}"
        ),
        "pip": f"{build} python -m pip install --force-reinstall {fresh} --constraint {_CONSTRAINTS} {_SOURCE}",
    }
