"""How the chat feels: the time from a key to its paint while a reply streams, and from the start to the first paint.

The real program on a pseudo-terminal. The engine of the keys is scripted, so that 200 tokens a second come for sure;
the first paint is that of the installed command with the real model, which loads behind it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tui.asking import environment
from tests.tui.chat_terminal import ChatTerminal
from tests.tui.fake_ask_child import Part, Play

TOKENS_PER_SECOND = 200.0
KEYS = "αβγδεζηθικλμνξοπρστυφχψωабвгдежзийклмнопрстуфхцчшщъыьэюя"
"""Typed one after the other: no two are alike, and no reply holds one."""
_MARK = "❯"
_COMMAND = [str(Path(sys.executable).with_name("llmchat"))]
_CODE = "\n".join(f"    total += table[{number}] * weight(name, {number})" for number in range(14))
_LIST = "\n".join(f"{number}. Point **{number}** with `code` and some more words" for number in range(1, 13))
_WORDS = "The quick brown fox jumps over the lazy dog and looks at the stars until morning comes again. "
_PAGE = f"# A heading\n\n{_WORDS * 6}\n\n{_LIST}\n\n{_WORDS * 4}\n\n```python\ndef work(table):\n{_CODE}\n```\n\n"
REPLY = f"{_PAGE}{_WORDS * 8}\n\n" * 6
"""What small models write: paragraphs, a list of 12 points, 15 lines of code, and all of it again."""


def key_to_paint(size: tuple[int, int] = (120, 36), seed: int = 1) -> list[float]:
    """Returns the seconds from each key to the bytes that paint it, while a reply streams."""
    play = Play(scripts=(Part(REPLY),), tokens_per_second=TOKENS_PER_SECOND)
    moments = random.Random(seed)
    with _home() as home, ChatTerminal(environment(home, TERM="xterm-256color"), play=play, size=size) as chat:
        chat.wait_for("fake-1B")
        chat.type("go\r")
        chat.wait_for("quick brown")
        taken = []
        for key in KEYS:
            time.sleep(moments.uniform(0.03, 0.13))
            taken.append(_painted_after(chat, key))
        chat.child.kill()
    return taken


def _painted_after(chat: ChatTerminal, key: str) -> float:
    wanted, start = key.encode(), len(chat.raw)
    began = time.perf_counter()
    chat.type(key)
    while wanted not in chat.raw[start:]:
        if time.perf_counter() - began > 10:
            raise RuntimeError(f"the key {key} was never painted\n{chat.text()}")
        time.sleep(0.0005)
    return time.perf_counter() - began


def first_paint() -> float:
    """Returns the seconds from the start of the installed command to its first whole screen."""
    with _home() as home, ChatTerminal(_real(home), program=_COMMAND, size=(100, 30)) as chat:
        while _MARK.encode() not in chat.raw:
            if chat.child.poll() is not None:
                raise RuntimeError(f"it ended: {chat.raw!r}")
            time.sleep(0.001)
        taken = time.monotonic() - chat.began
        chat.type("\x11")
        chat.end()
    return taken


def _real(home: Path) -> dict[str, str]:
    environ = environment(home, TERM="xterm-256color", XDG_RUNTIME_DIR=str(home), LLMCHAT_KEEPALIVE="0")
    return {name: value for name, value in environ.items() if name not in ("LLMCHAT_MODEL", "PYTHONPATH")}


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lc", dir="/tmp") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        yield home


def p95(values: list[float]) -> float:
    """Returns the value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]
