"""Several answers, beams and scores between all else that chats do, at random, on a scripted memory.

Whatever happened before, and whoever stopped in the middle: each answer is what its prompt and its seed lead to, each
score is that of its text, and what is in the memory afterwards is what the cache says.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from tests.engine.cache_memory import Script
from tests.engine.rig import SEED
from tests.engine.scripted_decoder import WORDS, ScriptedContext, decoder_on, reply_to, score_of, scorer_on
from tests.engine.test_cache_random import BUDGET, N_CTX, Player, Told

from llmchat_engine.errors import GenerationFailed
from llmchat_engine.events import Finished, Scored
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Decoder, Manner
from llmchat_engine.host.lines import Line
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

STEPS = 40
SECRET = 1 << 20
"""From here on are the tokens of what is private."""
ENDINGS = ("whole", "whole", "stopped", "closed", "broken")


@dataclass
class Author(Player):
    """Plays with a decoder as well."""

    decoder: Decoder = field(init=False)
    joined: list[Line] = field(default_factory=list)
    """The sequences of the last answers, by index."""
    secrets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decoder = decoder_on(self.context, self.script)
        join = self.script.cache.join

        def noted(lines: list[Line]) -> None:
            self.joined = list(lines)
            join(lines)

        self.script.cache.join = noted  # type: ignore[method-assign]

    @property
    def context(self) -> ScriptedContext:
        assert isinstance(self.memory, ScriptedContext)
        return self.memory

    def acts(self) -> Sequence[Callable[[str, Told], None]]:
        return (*super().acts(), *[self.answer] * 6, *[self.score] * 3)

    def answer(self, chat: str, told: Told) -> None:
        """Several answers, or beams; whole, or ended in some way."""
        dice, private = self.dice, self.dice.random() < 0.2
        prompt = [*told.ids, *self.secret(private), *self.words(40)]
        count, beams, ending = dice.randint(1, 4), dice.random() < 0.4, dice.choice(ENDINGS)
        sampling = Sampling(temperature=1.0, seed=dice.randrange(9), max_tokens=dice.choice((1, 4, 25)))
        manner = Manner(resolve(sampling, DEFAULTS), 1 if beams else count, count if beams else 0)
        want = Want(dice.choice((chat, "")), private=private, exact=dice.random() < 0.2)
        finished = self.played(prompt, manner, want, ending)
        if finished is not None:
            self.is_right(prompt, manner, finished, whole=ending == "whole")
            self.continued(chat, told, prompt, finished, kept=bool(want.chat) and not private)
        if private:
            self.script.cache.discard()
        if dice.random() < 0.6:  # once more, beside what is there
            self.answer(chat, told)

    def secret(self, private: bool) -> list[int]:
        """Returns a token that is in nothing else, for what is private."""
        self.secrets += [SECRET + len(self.secrets)] if private else []
        return self.secrets[-1:] if private else []

    def check(self) -> None:
        super().check()
        held = [line.ids for line in self.script.cache.sequences.lines]
        for ids in (*held, *(array("i", found.packed) for found in self.parked())):
            assert not ids or max(ids) < SECRET

    def played(self, prompt: list[int], manner: Manner, want: Want, ending: str) -> Finished | None:
        """Runs a prompt; returns how it ended, None where it was broken off."""
        stop = self.memory.decoded + self.dice.randint(0, 120) if ending == "stopped" else 1 << 60
        breaks = self.memory.decoded + self.dice.randint(0, 120) if ending == "broken" else 1 << 60
        events, last = self.decoder.generate(prompt, manner, want), None

        def watch(decoded: int) -> None:
            self.memory.aborted, self.context.numbers_are_none = decoded >= stop, decoded >= breaks

        self.memory.on_decode = watch
        try:
            for number, event in enumerate(events):
                last = event if isinstance(event, Finished) else None
                if ending == "closed" and number == self.dice.randint(2, 12):
                    events.close()
        except GenerationFailed:
            assert ending == "broken" or not self.memory.grows
        finally:
            self.memory.on_decode, self.memory.aborted = lambda _: None, False
            self.context.numbers_are_none = False
        return last

    def is_right(self, prompt: list[int], manner: Manner, finished: Finished, *, whole: bool) -> None:
        """Fails where an answer is not what it has to be."""
        if manner.beams:
            assert (finished.logprob or 0.0) == pytest.approx(score_of(prompt, finished.token_ids), rel=1e-4)
        for answer in () if manner.beams else finished.answers or (finished,):
            seed = answer.sampling.seed if isinstance(answer, Finished) else answer.seed
            expected = reply_to(prompt, seed or 0, manner.sampling.max_tokens or 0)
            ids = list(answer.token_ids)
            assert ids == expected[: len(ids)]
            assert ids == expected or (answer.reason != "eog" and not (whole and self.memory.grows))
        if whole and not manner.beams:
            replies = [answer.token_ids for answer in finished.answers or (finished,)]
            assert [line.ids.tolist() for line in self.joined] == [[*prompt, *ids[:-1]] for ids in replies]

    def continued(self, chat: str, told: Told, prompt: list[int], finished: Finished, *, kept: bool) -> None:
        """The chat may go on from any of them."""
        for answer in finished.answers or (finished,):
            ids = [*prompt, *answer.token_ids]
            if kept:
                self.chats.setdefault(chat, []).append(Told(ids, [*told.ends, len(ids)], len(prompt)))

    def score(self, chat: str, told: Told) -> None:
        """Tells how likely some texts are."""
        dice, private = self.dice, self.dice.random() < 0.3
        prompt = [*told.ids, *self.secret(private), *self.words(20)]
        texts = [[dice.randrange(WORDS) for _ in range(dice.choice((0, 1, 2, 30)))] for _ in range(dice.randint(1, 6))]
        stop = self.memory.decoded + dice.randint(0, 90) if dice.random() < 0.3 else 1 << 60
        self.memory.on_decode = lambda decoded: setattr(self.memory, "aborted", decoded >= stop)
        want = Want(dice.choice((chat, "")), private=private)
        *_, last = scorer_on(self.context, self.decoder, want).score(prompt, texts)
        self.memory.on_decode, self.memory.aborted = lambda _: None, False
        if private:
            self.script.cache.discard()
        assert isinstance(last, Scored) or stop < 1 << 60
        if isinstance(last, Scored):
            found = [told.logprob for told in last.scores]
            assert found == pytest.approx([score_of(prompt, text) for text in texts], rel=1e-4)


def author_of(seed: int, context: ScriptedContext) -> Author:
    print(f"LLMCHAT_TEST_SEED={seed}")
    return Author(random.Random(seed), context, Script(context, budget=BUDGET))


@pytest.mark.parametrize("memory", ["plain", "window", "forward"])
@pytest.mark.parametrize("number", range(4))
def test_each_answer_is_its_own_whatever_happened_before(memory: str, number: int) -> None:
    context = ScriptedContext(
        n_ctx=N_CTX, cells=256, window=20 if memory == "window" else 0, forward=memory == "forward"
    )
    author = author_of(SEED + 300 + number, context)
    for _ in range(STEPS):
        author.step()
        author.check()


@pytest.mark.parametrize("fault", ["refuses", "restores", "saves", "grows", "lost"])
def test_a_memory_that_disappoints_changes_no_answer(fault: str) -> None:
    author = author_of(SEED + 400, ScriptedContext(n_ctx=N_CTX, cells=512))
    for _ in range(STEPS):
        if fault == "lost":
            author.memory.lose(author.script.cache.active.number, author.dice.choice((0, 5, 1000)))
        else:
            setattr(author.memory, fault, (author.dice.random() < 0.3) == (fault == "refuses"))
        author.step()
        if (
            fault != "lost"
        ):  # other branches than the active one may have lost tokens, which is found when they are used
            author.check()
