"""A chat for measuring: what is asked in it, and asking it, with every branch at hand.

Knows requests and messages; no hosts, no report.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llmchat_engine import Engine, Message, Request, Sampling
from llmchat_tui.cli.bench_clock import Answer, ask, prose_of

TURNS = 10
TOKENS = 3000
"""Length of the chat when its tenth reply has ended."""
PAUSE = 0.2
"""Seconds a reader takes before the next question, with every program that is measured: llmchat uses them to compute
what the next prompt begins with."""
TEMPERATURE = 0.8
"""Of what is asked and asked again, as chats are; what is compared token by token is greedy."""
_SYSTEM = "You are a helpful assistant who answers in a few sentences."
_OTHER_SYSTEM = "Answer in a few sentences: you are a helpful assistant."
"""For the same path with nothing in the cache: it differs from its first words on."""
_TASK = "\n\nTell me in a few sentences what this text is about."
_BACK = "Thank you. What was the first text about?"
_BEGAN = 1_800_000_000.0


@dataclass(frozen=True, slots=True)
class Script:
    """What is asked in a chat."""

    system: str
    questions: tuple[str, ...]
    reply: int
    """The longest reply, in tokens."""
    back: str = _BACK
    """The short question that is asked where somebody comes back."""


def chat_length(n_ctx: int) -> int:
    """Returns how many tokens the chat shall have: 3,000, or what leaves a quarter of the context free."""
    return min(TOKENS, n_ctx * 3 // 4)


def write_script(engine: Engine, number: int, tokens: int, turns: int = TURNS) -> Script:
    """Returns the questions of a chat.

    Args:
        engine: Who counts.
        number: Which texts; the same number gives the same ones.
        tokens: How long the chat shall be after its last reply.
        turns: How many questions.
    """
    turn = tokens // turns
    reply = max(2, min(60, turn // 5))
    task = Message("user", _TASK)
    around = engine.measure(Request((Message("system", _SYSTEM), task, Message("assistant", "."), task))).messages
    text = max(1, turn - reply - around[2] - around[3])
    asked = tuple(prose_of(engine, text, number * turns + turn) + _TASK for turn in range(turns))
    return Script(_SYSTEM, asked, reply)


class Conversation:
    """One chat with an engine: its path so far, and what can be done with it."""

    def __init__(self, engine: Engine, name: str, script: Script, model_key: str) -> None:
        """Asks nothing yet.

        Args:
            engine: Who answers.
            name: The chat's name for the engine.
            script: What will be asked.
            model_key: The model that answers.
        """
        self._engine, self._name, self._script, self._key = engine, name, script, model_key
        self.path: tuple[Message, ...] = (Message("system", script.system),)

    def moved_to(self, engine: Engine) -> Conversation:
        """Returns the same chat with another engine."""
        moved = Conversation(engine, self._name, self._script, self._key)
        moved.path = self.path
        return moved

    def turn(self, question: str) -> Answer:
        """Asks, after a reader's pause, and goes on from the reply."""
        asked = (*self.path, Message("user", question))
        answer = self._ask(asked, self._script.reply, temperature=TEMPERATURE)
        self.path = (*asked, self._reply(answer))
        return answer

    def play(self, told: Callable[[int], None] = lambda _: None) -> tuple[Answer, ...]:
        """Asks all questions.

        Args:
            told: Is told the number of each turn before it begins.
        """
        answers = []
        for number, question in enumerate(self._script.questions, 1):
            told(number)
            answers.append(self.turn(question))
        return tuple(answers)

    def regenerate(self) -> tuple[Answer, Message]:
        """Asks the last question once more, and returns the new reply too; the chat stays on the old one."""
        answer = self._ask(self.path[:-1], self._script.reply, temperature=TEMPERATURE)
        return answer, self._reply(answer)

    def go_on(self, reply: Message | None = None, tokens: int = 1) -> Answer:
        """Has a reply to the last question continued, the chat's own or another: nothing is asked, nothing is kept."""
        return self._ask((*self.path[:-1], reply or self.path[-1]), tokens)

    def come_back(self) -> Answer:
        """Asks the short question, and leaves the chat as it is."""
        return self._ask((*self.path, Message("user", self._script.back)), self._script.reply)

    def from_nothing(self, turn: int) -> Answer:
        """Asks the question of a turn with nothing of its path in the cache, now or later."""
        path = (Message("system", _OTHER_SYSTEM), *self.path[1 : 2 * turn])
        return ask(self._engine, Request(path, Sampling(temperature=0.0, max_tokens=1), private=True))

    def _ask(self, path: tuple[Message, ...], tokens: int, temperature: float = 0.0) -> Answer:
        time.sleep(PAUSE)
        sampling = Sampling(temperature=temperature, max_tokens=tokens)
        request = Request(path, sampling, chat=self._name, store=True, shared=1, now=_BEGAN)
        return ask(self._engine, request)

    def _reply(self, answer: Answer) -> Message:
        finished = answer.finished
        return Message("assistant", finished.text, finished.token_ids, self._key)
