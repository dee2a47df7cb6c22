"""How answers and beams end: refused, stopped, closed, broken. Nothing is left behind, what is told of them is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.test_answers import CHAT, DRAWN, MAKERS, PROMPT, Bench

from llmchat_engine.errors import GenerationFailed, RequestInvalid
from llmchat_engine.events import Finished, Prefill, Token
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.lines import Line
from llmchat_engine.host.llama import Llama
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

SEVERAL = {"several": Manner(resolve(DRAWN, DEFAULTS), 4), "beams": Manner(resolve(DRAWN, DEFAULTS), beams=4)}


@pytest.fixture(params=["plain", "recurrent"])
def bench(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, MAKERS[request.param](models / f"ends-{request.param}.gguf"))
    yield bench
    bench.context.close()
    bench.model.close()


def lines_of(bench: Bench) -> list[list[int]]:
    """Returns what each sequence holds, after checking that the memory has it and nothing besides."""
    sequences = bench.decoder.cache.sequences
    held = {number for number in range(sequences.kind.sequences) if bench.context.positions(number) != (-1, -1)}
    assert held == {line.number for line in sequences.lines if line.ids}
    assert all(sequences.is_sound(line) for line in sequences.lines)
    assert bench.decoder.cache.active in sequences.lines
    return [line.ids.tolist() for line in sequences.lines]


def test_as_many_answers_as_there_are_sequences_again_and_again(bench: Bench) -> None:
    """What an earlier question left in the chat makes way for them."""
    most = bench.decoder.cache.sequences.kind.sequences
    first = bench.ask(most).answers
    for _ in range(2):
        bench.events(3, replace(DRAWN, seed=77, max_tokens=5))
        assert [answer.token_ids for answer in bench.ask(most).answers] == [answer.token_ids for answer in first]
        assert len(lines_of(bench)) <= most


def test_a_bias_that_cannot_be_read_is_refused_before_the_prompt_is_read(bench: Bench) -> None:
    with pytest.raises(RequestInvalid, match="not understood"):
        bench.events(3, replace(DRAWN, logit_bias=("sea",)))
    assert lines_of(bench) == [[]]


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("want", [CHAT, Want(), Want("chat", private=True)], ids=["chat", "no chat", "private"])
@pytest.mark.parametrize("after", [1, 5, 14])
def test_closed_at_any_moment_nothing_is_left_of_it(bench: Bench, kind: str, want: Want, after: int) -> None:
    events = bench.decoder.generate(PROMPT, SEVERAL[kind], want)
    for _ in range(after):
        next(events)
    events.close()
    held = lines_of(bench)
    assert len(held) == 1 or (want is CHAT and kind == "several")
    assert len({tuple(ids) for ids in held}) == len(held)
    bench.decoder.cache.discard()
    if want.private:
        assert lines_of(bench) == [[]]
    assert bench.ask(4, want=Want()).answers == bench.ask(4, want=Want()).answers


@pytest.mark.parametrize("kind", SEVERAL)
def test_numbers_that_are_none_leave_nothing_of_beams(bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    rows = [0]

    def broken(index: int = -1) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        rows[0] += 1
        row = type(bench.context).logits(bench.context, index)
        return row if rows[0] < 9 else row * np.float32(np.nan)

    monkeypatch.setattr(bench.context, "logits", broken)
    with pytest.raises(GenerationFailed, match="no probabilities"):
        [*bench.decoder.generate(PROMPT, replace(SEVERAL[kind], logprobs=0 if kind == "several" else None), CHAT)]
    assert len(lines_of(bench)) == (1 if kind == "beams" else 4)


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_sequence_that_vanishes_behind_the_cache_is_told(bench: Bench, kind: str) -> None:
    """An answer that went on from what is left would be a wrong one."""
    extend, calls = bench.decoder.feeder.extend, [0]

    def lose(lines: Sequence[Line], tokens: Sequence[int]) -> bool:
        calls[0] += 1
        if calls[0] == 3:
            bench.context.remove(0, sequence=lines[-1].number)
        return extend(lines, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.decoder.feeder, "extend", lose)
        with pytest.raises(GenerationFailed, match="lost"):
            [*bench.decoder.generate(PROMPT, SEVERAL[kind], CHAT)]
    lines_of(bench)
    assert bench.ask(4).answers[0].tokens > 0


@pytest.mark.parametrize("kind", SEVERAL)
def test_stopped_at_any_step_each_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "beams":  # some have ended when it is stopped
        monkeypatch.setattr(bench.model.vocab, "is_eog", lambda token: token % 5 == 0)
    for steps in (0, 1, 2, 7):
        manner = replace(SEVERAL[kind], sampling=resolve(replace(DRAWN, max_tokens=60), DEFAULTS))
        finished = end_of_stopped(bench, manner, steps)
        reasons = {answer.reason for answer in finished.answers} | {finished.reason}
        assert "cancelled" in reasons and reasons <= {"cancelled", "eog"}
        assert kind == "several" or finished.reason == "cancelled", "of a search that was stopped the best is not known"
        lines_of(bench)


def end_of_stopped(bench: Bench, manner: Manner, steps: int) -> Finished:
    """Runs a prompt; the abort flag goes up before so many batches of the reply."""
    counted = [0]

    def until() -> None:
        counted[0] += 1
        bench.context.abort(counted[0] > steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.context, "decode_many", before(bench.context.decode_many, until))
        *_, last = bench.decoder.generate(PROMPT, manner, CHAT)
    bench.context.abort(False)
    assert isinstance(last, Finished)
    return last


def before(many: Callable[..., bool], call: Callable[[], None]) -> Callable[..., bool]:
    """Returns the same, with a call before."""

    def called(*arguments: object) -> bool:
        call()
        return many(*arguments)

    return called


def test_every_token_is_counted_once_with_its_probability(bench: Bench) -> None:
    """Also those that are held back for a stop word, and the last one, which has no text."""
    sampling = replace(DRAWN, max_tokens=40, stop=("never written, but begun: e", "e\u0000"), logit_bias=("e=5",))
    events = [*bench.decoder.generate(PROMPT, Manner(resolve(sampling, DEFAULTS), 3, logprobs=0), Want())]
    last = events[-1]
    assert isinstance(last, Finished)
    for index, answer in enumerate(last.answers):
        own = [event for event in events if isinstance(event, Token) and event.answer == index]
        assert sum(event.count for event in own) == answer.tokens
        assert all(len(event.logprobs) == event.count for event in own)
        assert [told.id for event in own for told in event.logprobs] == list(answer.token_ids)
        assert answer.logprob == pytest.approx(sum(told.logprob for event in own for told in event.logprobs))


def test_what_is_told_of_the_whole_is_true(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(bench.context, "decode_many", before(bench.context.decode_many, lambda: steps.append(1)))
    events = bench.events(3)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.prompt_tokens == len(PROMPT) == last.cached_tokens + last.prefilled_tokens
    assert last.reply_tokens == sum(answer.tokens for answer in last.answers)
    assert [event.done for event in events if isinstance(event, Prefill)][-1] == len(PROMPT)
    assert len(steps) <= max(answer.tokens for answer in last.answers) - 1
    assert 0 < last.decode_ms / 1000 * (last.reply_tokens - 3) <= last.decode_seconds
    assert 0 < last.prefill_seconds <= last.time_to_first_token


def test_seeds_go_round_and_never_reach_the_one_that_means_any(bench: Bench) -> None:
    """2**32 - 1 is llama.cpp's "random"."""
    finished = bench.ask(3, Sampling(temperature=1.5, seed=2**32 - 3, max_tokens=4))
    assert [answer.seed for answer in finished.answers] == [2**32 - 3, 2**32 - 2, 0]
    assert finished.sampling.seed == 2**32 - 3
