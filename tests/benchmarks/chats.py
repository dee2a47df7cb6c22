"""The chat of `llmchat bench` with another program: the same questions, pauses and lengths, its own replies.

Knows what is asked and in which order; each program is another file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Protocol

from tests.benchmarks.peers import Heard
from tests.benchmarks.targets import CHAT_ROWS

from llmchat_tui.cli.bench_chat import PAUSE, TEMPERATURE, Script
from llmchat_tui.cli.bench_round import REGENERATIONS

Messages = list[dict[str, str]]


class Peer(Protocol):
    """A running program that can be asked."""

    def chat(self, messages: Sequence[Mapping[str, str]], tokens: int, temperature: float) -> Heard:
        """Asks, and returns what came and when."""

    def close(self) -> None:
        """Ends it."""


def play(start: Callable[[], Peer], script: Script, other: Script, pause: float = PAUSE) -> dict[str, float]:
    """Plays the chat, and returns the milliseconds to the first text, by row.

    Args:
        start: Starts the program with the model loaded; called again for the restart.
        script: The chat.
        other: The other chat.
        pause: Seconds before each question.
    """
    peer = start()
    try:
        path, turns = _turns(peer, script, pause)
        again = [_ask(peer, path[:-1], script.reply, pause, TEMPERATURE).to_first for _ in range(REGENERATIONS)]
        _turns(peer, other, pause)
        question = [*path, {"role": "user", "content": script.back}]
        back = _ask(peer, question, script.reply, pause).to_first
        peer.close()
        peer = start()
        reopened = _ask(peer, question, script.reply, pause).to_first
    finally:
        peer.close()
    return dict(zip(CHAT_ROWS, (1000 * seconds for seconds in (turns[-1], median(again), back, reopened)), strict=True))


def _turns(peer: Peer, script: Script, pause: float) -> tuple[Messages, list[float]]:
    """Asks all questions; returns the path and the seconds to the first text of each."""
    path, seconds = [{"role": "system", "content": script.system}], []
    for question in script.questions:
        path.append({"role": "user", "content": question})
        heard = _ask(peer, path, script.reply, pause, TEMPERATURE)
        path.append({"role": "assistant", "content": heard.text})
        seconds.append(heard.to_first)
    return path, seconds


def _ask(peer: Peer, path: Messages, tokens: int, pause: float, temperature: float = 0.0) -> Heard:
    time.sleep(pause)
    return peer.chat(path, tokens, temperature)
