"""Beam search against a slow search of another make: token for token, on scripted logits.

The reference keeps every hypothesis as a list, ranks all of its continuations in float64, looks each row up by the
whole history and knows no sequences. Beside the searches a toy memory does what the plans say, so that a plan that
puts a token behind another history than its own is found at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engine.rig import SEED

from llmchat_engine.host.beam import BeamSearch, Hypothesis, Plan

Ids = tuple[int, ...]
Rows = Callable[[Ids], npt.NDArray[np.float32]]
CLOSE = 1e-5
"""Two sums closer than this may come in either order: one search computes in float32, the other in float64."""


@dataclass(frozen=True)
class Setting:
    """One search."""

    seed: int
    width: int
    limit: int
    penalty: float = 1.0
    results: int = 1
    vocab: int = 12
    ends: tuple[int, ...] = (0, 5)
    end_bonus: float = 0.0
    spread: float = 2.0

    def row(self, ids: Ids) -> npt.NDArray[np.float32]:
        """Returns logits that depend on the whole history and on nothing else."""
        row = np.random.default_rng((self.seed, 1 + len(ids), *ids)).standard_normal(self.vocab) * self.spread
        row[list(self.ends)] += self.end_bonus
        return row.astype(np.float32)

    def ends_with(self, _ids: Ids, token: int) -> bool:
        return token in self.ends

    def search(self) -> BeamSearch:
        options = {"length_penalty": self.penalty}
        return BeamSearch(self.width, self.ends_with, self.limit, results=self.results, **options)


@dataclass
class Reference:
    """The slow one; `close` is the smallest distance between two numbers whose order mattered."""

    setting: Setting
    close: float = math.inf
    done: list[tuple[float, Ids]] = field(default_factory=list)

    def run(self) -> list[Ids]:
        setting = self.setting
        live: list[tuple[Ids, float]] = [((), 0.0)]
        while live:
            live = self.step(live)
        self.done.sort(key=lambda one: -one[0])
        self.near([score for score, _ in self.done[: setting.results + 1]])
        return [ids for _, ids in self.done[: setting.results]]

    def step(self, live: list[tuple[Ids, float]]) -> list[tuple[Ids, float]]:
        setting = self.setting
        every = [((*ids, token), total + value) for ids, total in live for token, value in enumerate(self.logs(ids))]
        every.sort(key=lambda one: -one[1])
        going: list[tuple[Ids, float]] = []
        for rank, (ids, total) in enumerate(every):
            if ids[-1] not in setting.ends:
                going.append((ids, total))
            elif rank < setting.width:
                self.done.append((total / len(ids) ** setting.penalty, ids))
            if len(going) == setting.width:
                self.near([total for _, total in every[: rank + 2]])
                break
        if len(going[0][0]) == setting.limit:
            self.done += [(total / setting.limit**setting.penalty, ids) for ids, total in going]
            return []
        return going if self.can_change(going) else []

    def can_change(self, going: list[tuple[Ids, float]]) -> bool:
        """Whether any continuation at all, of any length up to the limit, could be among the results."""
        best = sorted((score for score, _ in self.done), reverse=True)[: self.setting.results]
        if len(best) < self.setting.results:
            return True
        lengths = range(len(going[0][0]) + 1, self.setting.limit + 1)
        hopes = [total / math.pow(length, self.setting.penalty) for _, total in going for length in lengths]
        self.near([best[-1], max(hopes)])
        return max(hopes) > best[-1]

    def logs(self, ids: Ids) -> list[float]:
        row = [float(logit) for logit in self.setting.row(ids)]
        total = math.log(math.fsum(math.exp(logit) for logit in row))
        return [logit - total for logit in row]

    def near(self, numbers: list[float]) -> None:
        ordered = sorted(numbers)
        gaps = [above - below for below, above in itertools.pairwise(ordered)]
        self.close = min(self.close, *gaps, math.inf)


@dataclass
class Toy:
    """Sequences as tuples: does what a plan says, and nothing that llama.cpp would not do."""

    width: int
    held: dict[int, Ids] = field(default_factory=dict)

    def follow(self, plan: Plan, live: tuple[Hypothesis, ...]) -> list[Ids]:
        """Returns the history that each row would be computed from."""
        sources, targets = {source for source, _ in plan.copies}, [target for _, target in plan.copies]
        assert sources.isdisjoint(targets) and len(set(targets)) == len(targets)
        before = {sequence: self.held.get(sequence, ()) for sequence in plan.sequences}
        for source, target in plan.copies:
            self.held[target] = self.held.get(source, ())
        for sequence in plan.dead:
            assert sequence not in plan.sequences
            del self.held[sequence]
        assert len(set(plan.sequences)) == len(plan.sequences) <= self.width
        assert set(plan.sequences) <= set(range(self.width))
        for token, sequence in zip(plan.tokens, plan.sequences, strict=True):
            self.held[sequence] = (*self.held.get(sequence, ()), token)
        assert set(self.held) == set(plan.sequences), "a sequence was forgotten"
        assert [one.sequence for one in live] == list(plan.sequences)
        stayed = [place for place in plan.sequences if place not in targets]
        assert all(self.held[place][:-1] == before[place] for place in stayed)
        return [self.held[sequence] for sequence in plan.sequences]


def run(setting: Setting, watch: Callable[[BeamSearch], None] = lambda _: None) -> BeamSearch:
    """Runs a search to its end through a toy memory."""
    search, toy = setting.search(), Toy(setting.width)
    plan = search.step([setting.row(())])
    watch(search)
    while plan is not None:
        histories = toy.follow(plan, search.live)
        assert histories == [one.ids for one in search.live]
        plan = search.step([setting.row(ids) for ids in histories])
        watch(search)
    return search


settings_of_searches = st.builds(
    Setting,
    seed=st.integers(0, 10_000).map(lambda number: SEED + number),
    width=st.integers(1, 6),
    limit=st.integers(1, 9),
    penalty=st.sampled_from((0.0, 0.5, 1.0, 1.7)),
    vocab=st.sampled_from((9, 12, 40)),
    ends=st.sampled_from(((), (0,), (0, 5), (0, 1, 2, 3, 4, 5, 6))),
    end_bonus=st.sampled_from((-2.0, 0.0, 2.0, 6.0)),
    spread=st.sampled_from((0.5, 2.0, 6.0)),
)


@settings(max_examples=150, deadline=None)
@given(settings_of_searches, st.data())
def test_a_search_finds_what_the_slow_one_finds(setting: Setting, data: st.DataObject) -> None:
    results = data.draw(st.integers(1, setting.width))
    setting = Setting(**{**vars(setting), "results": results})
    reference = Reference(setting)
    expected = reference.run()
    assume(reference.close > CLOSE)
    assert [one.ids for one in run(setting).best()] == expected


@settings(max_examples=80, deadline=None)
@given(settings_of_searches)
def test_what_may_be_shown_grows_and_is_the_beginning_of_the_result(setting: Setting) -> None:
    shown: list[Ids] = [()]

    def watch(search: BeamSearch) -> None:
        assert search.prefix[: len(shown[-1])] == shown[-1]
        assert search.best()[0].ids[: len(search.prefix)] == search.prefix  # also where it is stopped now
        shown.append(search.prefix)

    search = run(setting, watch)
    assert shown[-1] == search.best()[0].ids


def test_a_width_of_one_is_greedy() -> None:
    setting = Setting(SEED, width=1, limit=12, ends=())
    ids: Ids = ()
    for _ in range(12):
        ids = (*ids, int(setting.row(ids).argmax()))
    assert run(setting).best() == (Hypothesis(ids, run(setting).best()[0].logprob, False, 0),)


def test_a_wide_search_finds_the_likeliest_of_all() -> None:
    setting = Setting(SEED, width=27, limit=4, vocab=3, ends=(), penalty=0.0)
    reference = Reference(setting)
    totals = {
        (a, b, c, d): sum(
            reference.logs(ids)[token] for ids, token in (((), a), ((a,), b), ((a, b), c), ((a, b, c), d))
        )
        for a in range(3)
        for b in range(3)
        for c in range(3)
        for d in range(3)
    }
    best = max(totals, key=lambda ids: totals[ids])
    (found,) = run(setting).best()
    assert found.ids == best
    assert found.logprob == pytest.approx(totals[best], abs=1e-5)


def test_equal_hypotheses_come_in_one_order() -> None:
    def row(_ids: Ids) -> npt.NDArray[np.float32]:
        return np.zeros(50, np.float32)

    search = BeamSearch(3, lambda _ids, _token: False, 3, results=3)
    plan = search.step([row(())])
    while plan is not None:
        plan = search.step([row(()) for _ in plan.tokens])
    assert [one.ids for one in search.best()] == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]


def scripted(*steps: dict[int, float], vocab: int = 6) -> Callable[[Ids], npt.NDArray[np.float32]]:
    """Returns rows by length alone: the probabilities of some tokens, the others next to nothing."""

    def row(ids: Ids) -> npt.NDArray[np.float32]:
        probabilities = [steps[min(len(ids), len(steps) - 1)].get(token, 1e-9) for token in range(vocab)]
        return np.log(np.array(probabilities, np.float32))

    return row


def test_the_search_ends_when_nothing_live_can_win_any_more() -> None:
    row = scripted({1: 0.9, 2: 0.1}, {0: 0.99, 3: 0.01})
    search = BeamSearch(2, lambda _ids, token: token == 0, 1000, length_penalty=0.0)
    steps, plan = 1, search.step([row(())])
    while plan is not None:
        plan = search.step([row(one.ids) for one in search.live])
        steps += 1
    assert (steps, search.best()[0].ids, search.best()[0].ended) == (2, (1, 0), True)


def test_more_results_are_waited_for() -> None:
    row = scripted({1: 0.9, 2: 0.1}, {0: 0.99, 3: 0.01})
    search = BeamSearch(2, lambda _ids, token: token == 0, 1000, length_penalty=0.0, results=2)
    plan = search.step([row(())])
    while plan is not None:
        plan = search.step([row(one.ids) for one in search.live])
    assert [one.ids for one in search.best()] == [(1, 0), (2, 0)]


def test_the_length_penalty_prefers_longer_ones() -> None:
    row = scripted({1: 1.0}, {0: 0.5, 1: 0.5}, {0: 1.0})
    lengths = []
    for penalty in (0.0, 2.0):
        search = BeamSearch(3, lambda _ids, token: token == 0, 6, length_penalty=penalty)
        plan = search.step([row(())])
        while plan is not None:
            plan = search.step([row(one.ids) for one in search.live])
        lengths.append(len(search.best()[0].ids))
    assert lengths == [2, 3]


def test_a_hypothesis_can_end_by_what_stands_before() -> None:
    """As a stop word does."""
    row = scripted({1: 0.6, 2: 0.4})
    search = BeamSearch(2, lambda ids, token: (*ids, token)[-2:] == (1, 2), 5, length_penalty=0.0)
    plan = search.step([row(())])
    while plan is not None:
        plan = search.step([row(one.ids) for one in search.live])
    assert search.best()[0].ids == (1, 2)


def test_a_hypothesis_at_the_limit_is_cut_and_says_so() -> None:
    search = run(Setting(SEED, width=3, limit=4, ends=(), results=3))
    assert [(len(one.ids), one.ended) for one in search.best()] == [(4, False)] * 3
    assert search.live == ()


def test_a_vocabulary_in_which_everything_ends_is_no_endless_loop() -> None:
    search = BeamSearch(4, lambda _ids, _token: True, 9)
    assert search.step([np.arange(6, dtype=np.float32)]) is None
    assert search.best()[0].ids == (5,)


def test_impossible_tokens_are_never_chosen() -> None:
    row = np.full(40, -np.inf, np.float32)
    row[7] = row[9] = 0.0
    search = BeamSearch(4, lambda _ids, _token: False, 3)
    plan = search.step([row])
    assert plan is not None and plan.tokens == (7, 9)


@pytest.mark.parametrize(
    ("width", "limit", "options"),
    [(0, 5, {}), (2, 0, {}), (2, 5, {"length_penalty": -1.0}), (2, 5, {"results": 3}), (2, 5, {"results": 0})],
)
def test_a_search_without_sense_is_refused(width: int, limit: int, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="width"):
        BeamSearch(width, lambda _ids, _token: False, limit, **options)
