"""Whatever several answers, beams and scores did before, the model answers as on an empty cache; on every memory.

Where exactness is promised (a seed) the same request gives the same tokens, several answers too; elsewhere an empty
cache that is led along the reply chooses the same tokens, or nearly so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.engine.rig import SEED
from tests.engine.sameness import CHAT, OTHER, Bench, prompt
from tests.engine.scripted_decoder import scorer_on
from tests.engine.test_answers import MAKERS

from llmchat_engine.events import Finished
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner, News
from llmchat_engine.host.llama import Llama
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

DRAWN = resolve(Sampling(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0, seed=4, max_tokens=20), DEFAULTS)
LONG, STEPS = prompt(700), 14
EXACT = replace(CHAT, exact=True, shared=33)


@pytest.fixture(scope="module", params=["plain", "swa", "recurrent", "hybrid"])
def bench(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, MAKERS[request.param](models / f"many-{request.param}.gguf"), n_ctx=2048)
    yield bench
    bench.close()


@dataclass
class Troublemaker:
    """Uses one bench for all that it can be used for."""

    bench: Bench
    dice: random.Random
    path: list[int] = field(default_factory=lambda: prompt(60))

    def events(self, ids: list[int], manner: Manner, want: Want) -> list[News]:
        return [*self.bench.decoder.generate(ids, manner, want)]

    def do(self) -> None:
        """Does something, or begins to."""
        want = self.dice.choice((CHAT, CHAT, OTHER, Want(), Want("chat", private=True), EXACT))
        self.dice.choice((self.several, self.several, self.search, self.score, self.lose, self.park, self.forget))(want)
        if want.private:
            self.bench.decoder.cache.discard()

    def several(self, want: Want) -> None:
        manner = replace(Manner(DRAWN), answers=self.dice.randint(1, 5))
        self.run(manner, want)

    def search(self, want: Want) -> None:
        self.run(replace(Manner(DRAWN), beams=self.dice.randint(1, 4)), want)

    def run(self, manner: Manner, want: Want) -> None:
        """Runs a prompt to its end, or stops it or closes it in the middle; the chat goes on from one answer."""
        ids = [
            *self.path[: self.dice.randint(1, len(self.path))],
            *prompt(self.dice.randint(1, 90), self.dice.randrange(9)),
        ]
        ending, moment = self.dice.choice(("whole", "whole", "stopped", "closed")), self.dice.randint(1, 25)
        events, seen = self.bench.decoder.generate(ids, manner, want), list[News]()
        for number, event in enumerate(events):
            seen.append(event)
            if number == moment and ending == "stopped":
                self.bench.context.abort()
            if number == moment and ending == "closed":
                events.close()
        self.bench.context.abort(False)
        if isinstance(last := seen[-1], Finished):
            replies = [answer.token_ids for answer in last.answers or (last,)]
            self.path = [*ids, *self.dice.choice(replies)][:600]

    def score(self, want: Want) -> None:
        texts = [prompt(self.dice.randint(0, 40), self.dice.randrange(9)) for _ in range(4)]
        scorer = scorer_on(self.bench.context, self.bench.decoder, want)
        for number, _ in enumerate(scorer.score(self.path, texts)):
            self.bench.context.abort(number == 3 and self.dice.random() < 0.3)
        self.bench.context.abort(False)

    def lose(self, _: Want) -> None:
        self.bench.lose()

    def park(self, _: Want) -> None:
        self.bench.decoder.cache.trim()
        self.bench.decoder.cache.sequences.park(self.bench.decoder.cache.active)

    def forget(self, _: Want) -> None:
        self.bench.decoder.cache.forget("chat")


@pytest.mark.parametrize("number", range(2))
def test_a_seed_gives_the_same_tokens_whatever_was_done_before(bench: Bench, number: int) -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    bench.begin()
    one, three = (Manner(DRAWN, answers, logprobs=0) for answers in (1, 3))  # a sum shows the last bit of all rows
    trouble = Troublemaker(bench, random.Random(SEED + number))
    first = [trouble.events(LONG, manner, Want("", exact=True, shared=33))[-1] for manner in (one, three)]
    for _ in range(STEPS):
        trouble.do()
        manner = trouble.dice.choice((one, three))
        expected, again = first[manner is three], trouble.events(LONG, manner, EXACT)[-1]
        assert isinstance(again, Finished) and isinstance(expected, Finished)
        told = (again.token_ids, again.logprob, again.answers)
        assert told == (expected.token_ids, expected.logprob, expected.answers)


@pytest.mark.parametrize("number", range(2))
def test_the_next_answer_is_what_the_model_says(bench: Bench, number: int) -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    bench.begin()
    trouble = Troublemaker(bench, random.Random(SEED + 10 + number))
    for _ in range(STEPS):
        trouble.do()
        if trouble.dice.random() < 0.5:
            ids = [*trouble.path, *prompt(3, trouble.dice.randrange(9))]
            assert bench.is_what_the_model_says(ids, bench.ask(ids, 5))
