"""The first byte of `llm -m SmolLM2`, the command that people who use the same model have.

Knows the `llm` command, which comes with the package of the model. Ours is measured by children.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.children import QUESTIONS, clean_environ, first_byte


class LlmCommand:
    """`llm -m SmolLM2` with a home of its own."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        """Asks once: the first run of a home makes its database."""
        self._command = (str(Path(sys.executable).with_name("llm")), "-m", "SmolLM2")
        self._environ = clean_environ(home, environ, LLM_USER_PATH=str(home))
        home.mkdir(mode=0o700)
        self.first_byte(QUESTIONS[0])

    def first_byte(self, question: str) -> float:
        """Returns the seconds to its first byte."""
        return first_byte((*self._command, question), self._environ)
