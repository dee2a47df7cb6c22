"""Scores on a scripted memory whose logits are a function of the history: exact, stoppable, and with nothing left over.

What batches do to the numbers of llama.cpp is in test_scoring_real.py.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.answers import Score
from llmchat_engine.errors import ContextFull, GenerationFailed, RequestInvalid
from llmchat_engine.events import Prefill, Restored, Scored
from llmchat_engine.host.scoring import Ground, Scorer, Window, windows_of

VOCAB = 20
ROWS = 4
PROMPT = 7
"""The sequence that prompts are put into."""
Ids = tuple[int, ...]


def row_behind(history: Sequence[int]) -> npt.NDArray[np.float32]:
    """Returns logits that depend on every token before them."""
    return (np.random.default_rng((1 + len(history), *history)).standard_normal(VOCAB) * 3).astype(np.float32)


@dataclass
class Memory:
    """Sequences of ids. Refuses what llama.cpp refuses: a gap, too many rows, a row that is not there, a full cache."""

    n_ctx: int = 64
    held: dict[int, Ids] = field(default_factory=dict)
    rows: list[npt.NDArray[np.float32]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    stops_after: int = 1000
    """Batches after which the abort flag is up."""
    spare: tuple[int, ...] = (0, 1, 2)
    room: int = 0
    asked: list[Ids] = field(default_factory=list)
    poison: bool = False

    def decode_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> bool:
        assert 0 < len(ids) == len(positions) == len(sequences) == sum(outputs) <= ROWS
        if len(self.batches) >= self.stops_after:
            return False
        self.batches.append(len(ids))
        self.rows = []
        for token, position, sequence in zip(ids, positions, sequences, strict=True):
            assert position == len(self.held[sequence])
            self.held[sequence] = (*self.held[sequence], token)
            self.rows.append(row_behind(self.held[sequence]) * (np.float32(math.nan) if self.poison else 1))
        assert sum(len(held) - len(self.held[PROMPT]) for held in self.held.values()) <= self.room
        return True

    def logits(self, index: int = -1) -> npt.NDArray[np.float32]:
        return self.rows[index]

    def copy(self, source: int, target: int, end: int) -> None:
        assert target not in self.held
        self.held[target] = self.held[source][:end]

    def remove(self, start: int, *, sequence: int = 0, end: int = -1) -> bool:
        assert (start, end) == (0, -1)
        del self.held[sequence]
        return True

    def read(self, ids: Sequence[int], room: int) -> Generator[Restored | Prefill, None, Ground | None]:
        """Reads a prompt in two steps."""
        assert ids and len(ids) + room <= self.n_ctx
        self.asked.append(tuple(ids))
        self.room = room
        yield Prefill(0, len(ids), 0)
        if self.stops_after < 0:
            return None
        self.held[PROMPT], self.rows = tuple(ids), [row_behind(ids)]
        yield Prefill(len(ids), len(ids), 0)
        return Ground(PROMPT, self.spare, cached=2)


def scorer_of(memory: Memory) -> Scorer:
    return Scorer(memory, memory.read, lambda token: f"<{token}>", ROWS)


def expected(history: Sequence[int], ids: Sequence[int]) -> float:
    """Returns a log-likelihood, token by token in float64."""
    total, so_far = 0.0, list(history)
    for token in ids:
        row = row_behind(so_far).astype(np.float64)
        total += float(row[token]) - math.log(math.fsum(math.exp(logit) for logit in row))
        so_far.append(token)
    return total


def run(events: Generator[Restored | Prefill | Scored, None, None]) -> tuple[list[Prefill], Scored]:
    """Returns progress and scores, after checking that the progress is in order and reaches its end."""
    *progress, last = events
    assert isinstance(last, Scored)
    seen = [event for event in progress if isinstance(event, Prefill)]
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert len({event.total for event in seen}) <= 1
    assert not seen or seen[-1].done == seen[-1].total
    return seen, last


texts = st.lists(st.integers(0, VOCAB - 1), max_size=14).map(tuple)


@settings(max_examples=60, deadline=None)
@given(texts.filter(bool), st.lists(texts, max_size=7), st.integers(1, 4))
def test_each_continuation_scores_as_if_it_were_alone(prompt: Ids, continuations: list[Ids], spare: int) -> None:
    memory = Memory(spare=tuple(range(spare)))
    _, scored = run(scorer_of(memory).score(prompt, continuations))
    assert [score.count for score in scored.scores] == [len(ids) for ids in continuations]
    for ids, score in zip(continuations, scored.scores, strict=True):
        assert score.logprob == pytest.approx(expected(prompt, ids), abs=1e-5)
    assert memory.held == {PROMPT: prompt}
    assert memory.asked == [prompt]


def test_short_ones_share_a_batch_and_the_prompt_is_read_once() -> None:
    memory = Memory()
    run(scorer_of(memory).score((1, 2, 3), [(4, 5, 6), (4, 5), (7,), (), (8, 9)]))
    assert memory.batches == [4]


def test_as_many_side_by_side_as_there_are_sequences() -> None:
    memory = Memory(spare=(0,))
    run(scorer_of(memory).score((1,), [(4, 5), (6, 7), (8, 9)]))
    assert memory.batches == [1, 1, 1]


def test_without_a_free_sequence_only_single_tokens_can_be_scored() -> None:
    memory = Memory(spare=())
    run(scorer_of(memory).score((1,), [(4,), (6,)]))
    with pytest.raises(GenerationFailed, match="no sequence is free"):
        list(scorer_of(memory).score((1,), [(4, 5)]))


def test_a_long_one_takes_several_batches() -> None:
    memory = Memory()
    run(scorer_of(memory).score((1,), [tuple(range(10))]))
    assert memory.batches == [4, 4, 1]


def test_tokens_are_told_one_by_one_where_that_is_asked_for() -> None:
    _, scored = run(scorer_of(Memory()).score((1, 2), [(3, 4)], top=2))
    (score,) = scored.scores
    assert [(told.id, told.text, len(told.top)) for told in score.tokens] == [(3, "<3>", 2), (4, "<4>", 2)]
    assert score.logprob == sum(told.logprob for told in score.tokens)
    best = int(row_behind((1, 2, 3)).argmax())
    assert score.tokens[1].top[0].id == best
    assert (scored.prompt_tokens, scored.cached_tokens) == (2, 2)


def test_none_are_told_otherwise() -> None:
    _, scored = run(scorer_of(Memory()).score((1, 2), [(3, 4)]))
    assert scored.scores[0].tokens == ()


def test_progress_counts_the_prompt_and_what_follows() -> None:
    progress, _ = run(scorer_of(Memory()).score((1, 2, 3), [(4, 5, 6, 7, 8, 9), (4,)]))
    assert [(event.done, event.total) for event in progress] == [(0, 10), (3, 10), (5, 10), (9, 10), (10, 10)]


@pytest.mark.parametrize("batches", [-1, 0, 1])
def test_a_stop_leaves_no_score_and_no_sequence(batches: int) -> None:
    memory = Memory(stops_after=batches)
    events = list(scorer_of(memory).score((1, 2), [tuple(range(12))]))
    assert not any(isinstance(event, Scored) for event in events)
    assert set(memory.held) <= {PROMPT}


def test_a_consumer_that_leaves_takes_its_sequences_with_it() -> None:
    memory = Memory()
    events = scorer_of(memory).score((1, 2), [tuple(range(12))])
    while not memory.batches:
        next(events)
    assert set(memory.held) == {PROMPT, 0}
    events.close()
    assert set(memory.held) == {PROMPT}


def test_a_model_that_fails_leaves_no_sequence() -> None:
    memory = Memory(poison=True)
    with pytest.raises(GenerationFailed, match="gave no probabilities"):
        list(scorer_of(memory).score((1, 2), [(1, 2, 3)]))
    assert set(memory.held) == {PROMPT}


def test_what_does_not_fit_is_refused_before_anything_is_read() -> None:
    memory = Memory(n_ctx=10)
    run(scorer_of(memory).score((1,) * 6, [(1, 2), (1, 2, 3, 4)]))
    with pytest.raises(ContextFull) as caught:
        list(scorer_of(memory).score((1,) * 6, [(1, 2), (1, 2, 3, 4, 5)]))
    assert (caught.value.prompt_tokens, caught.value.n_ctx) == (11, 10)
    assert len(memory.asked) == 1


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(2, 20), st.sampled_from(((), (19,))))
def test_perplexity_is_that_of_overlapping_windows(ids: Ids, window: int, head: Ids) -> None:
    if window < len(head) + 2:
        return
    memory = Memory()
    _, scored = run(scorer_of(memory).perplexity(ids, window, head))
    size, total, count, at = window - len(head), 0.0, 0, 0 if head else 1
    while at < len(ids):  # a token at a time, each behind what its window has before it
        # The first window ends at `size`; then one begins every `size - size // 2` tokens.
        step = size - size // 2
        number = 0 if at < size else 1 + (at - size) // step
        begin = 0 if not number else size + (number - 1) * step - size // 2
        total, count, at = total + expected((*head, *ids[begin:at]), ids[at : at + 1]), count + 1, at + 1
    assert scored.scores[0].count == count
    assert scored.scores[0].logprob == pytest.approx(total, abs=1e-5)
    assert scored.scores[0].perplexity == pytest.approx(math.exp(-total / count) if count else math.inf, rel=1e-5)
    assert max(map(len, memory.asked), default=0) < window


def test_windows_overlap_by_half_and_score_each_token_once() -> None:
    assert list(windows_of(20, 8, skip=1)) == [
        Window(0, 1, 8),
        Window(4, 8, 12),
        Window(8, 12, 16),
        Window(12, 16, 20),
    ]
    assert list(windows_of(5, 8, skip=1)) == [Window(0, 1, 5)]
    assert list(windows_of(10, 8, skip=0)) == [Window(0, 0, 8), Window(4, 8, 10)]


@pytest.mark.parametrize("ids", [(), (4,)])
def test_a_text_too_short_to_be_scored_has_no_perplexity(ids: Ids) -> None:
    _, scored = run(scorer_of(Memory()).perplexity(ids))
    assert scored.scores == (Score(0.0, 0),)
    assert scored.scores[0].perplexity == math.inf


@pytest.mark.parametrize("window", [1, 65, -3])
def test_a_window_without_sense_is_refused(window: int) -> None:
    with pytest.raises(RequestInvalid, match="it must have from 2 to 64"):
        list(scorer_of(Memory()).perplexity((1, 2, 3), window))


def test_a_stopped_perplexity_ends_without_one() -> None:
    memory = Memory(stops_after=2)
    events = list(scorer_of(memory).perplexity(tuple(range(20)), 8))
    assert not any(isinstance(event, Scored) for event in events)
    assert set(memory.held) == {PROMPT}
