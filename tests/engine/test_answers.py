"""Several answers to one prompt: one prefill, one batch a step, each with its seed and end; on every kind of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.answers import Answer
from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Answered, Finished, Token
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Decoder, Manner, News
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

DRAWN = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=11, max_tokens=24)
PROMPT = [280 + (7 * index + index * index) % 200 for index in range(90)]
CHAT = Want("chat", store=True)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "plain": tiny_llama, "swa": tiny_gemma3_swa, "recurrent": tiny_mamba, "hybrid": tiny_lfm2,
}  # fmt: skip


class Bench:
    """One model, one decoder."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.model = Model(llama, str(path))
        self.context = small_context(llama, self.model, 1024)
        self.decoder: Decoder = decoder_of(llama, self.model, self.context, budget=1 << 24)

    def events(self, answers: int, sampling: Sampling = DRAWN, want: Want = CHAT, **more: object) -> list[News]:
        manner = Manner(resolve(sampling, DEFAULTS), answers, **more)  # type: ignore[arg-type]
        return [*self.decoder.generate(PROMPT, manner, want)]

    def ask(self, answers: int, sampling: Sampling = DRAWN, want: Want = CHAT) -> Finished:
        return _checked(self.events(answers, sampling, want))

    def follow(self, ids: list[int], want: Want = CHAT) -> Finished:
        manner = Manner(resolve(Sampling(temperature=0.0, max_tokens=4), DEFAULTS))
        *_, last = self.decoder.generate(ids, manner, want)
        assert isinstance(last, Finished)
        return last


def _checked(events: list[News]) -> Finished:
    """Returns the end of several answers, after checking that the events of each are in order."""
    last = events[-1]
    assert isinstance(last, Finished)
    for index, answer in enumerate(last.answers):
        own = [event for event in events if isinstance(event, Token) and event.answer == index]
        assert "".join(event.text for event in own) == answer.text
        (end,) = [at for at, event in enumerate(events) if event == Answered(index, answer)]
        assert not any(isinstance(event, Token) and event.answer == index for event in events[end:])
    return last


@pytest.fixture(scope="module", params=["plain", "swa", "recurrent", "hybrid"])
def shared(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, MAKERS[request.param](models / f"answers-{request.param}.gguf"))
    yield bench
    bench.context.close()
    bench.model.close()


@pytest.fixture
def bench(shared: Bench) -> Bench:
    """The shared bench, with nothing in its context."""
    shared.context.abort(False)
    for line in list(shared.decoder.cache.sequences.lines):
        shared.decoder.cache.sequences.remove(line)
    shared.decoder.cache.active = shared.decoder.cache.sequences.new()
    return shared


def test_each_answer_is_what_its_seed_draws(bench: Bench) -> None:
    """A batch of several may add up in another order: led along, few tokens differ; of random weights here none."""
    answers = bench.ask(4).answers
    assert len({answer.token_ids for answer in answers}) == 4
    alone = [bench.ask(1, replace(DRAWN, seed=11 + index)) for index in range(4)]
    assert [answer.seed for answer in answers] == [11, 12, 13, 14]
    assert [answer.token_ids for answer in answers] == [finished.token_ids for finished in alone]
    assert [answer.text for answer in answers] == [finished.text for finished in alone]


def test_the_prompt_is_read_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read, decode = [0], bench.context.decode

    def counted(ids: Sequence[int], start: int, sequence: int = 0) -> bool:
        read[0] += len(ids)
        return decode(ids, start, sequence)

    monkeypatch.setattr(bench.context, "decode", counted)
    finished = _checked(bench.events(5, replace(DRAWN, max_tokens=1)))
    assert read[0] == finished.prefilled_tokens == len(PROMPT) - finished.cached_tokens
    assert finished.reply_tokens == sum(answer.tokens for answer in finished.answers) == 5


def test_the_figures_above_are_those_of_the_first(bench: Bench) -> None:
    finished = bench.ask(3)
    first = finished.answers[0]
    assert (finished.reason, finished.text, finished.token_ids) == (first.reason, first.text, first.token_ids)
    assert finished.sampling.seed == 11


def test_one_answer_is_no_list(bench: Bench) -> None:
    events = bench.events(1)
    assert not any(isinstance(event, Answered) for event in events)
    assert _checked(events).answers == ()


def test_the_chat_goes_on_from_any_answer(bench: Bench) -> None:
    answers = bench.ask(3).answers
    for answer in answers:
        path = [*PROMPT, *answer.token_ids]
        assert bench.follow([*path, 281, 282]).cached_tokens >= len(path) - 1


def test_one_can_be_stopped(bench: Bench) -> None:
    stopped: set[int] = set()
    manner = Manner(resolve(replace(DRAWN, max_tokens=40), DEFAULTS), 3, stopped=stopped)
    seen: list[News] = []
    for event in bench.decoder.generate(PROMPT, manner, CHAT):
        seen.append(event)
        if isinstance(event, Token) and event.answer == 1 and len(seen) > 12:
            stopped.add(1)
    answers = _checked(seen).answers
    assert [answer.reason == "cancelled" for answer in answers] == [False, True, False]
    assert 0 < answers[1].tokens < 40
    whole = bench.ask(3, replace(DRAWN, max_tokens=40)).answers
    assert (answers[0], answers[2]) == (whole[0], whole[2])


def test_an_abort_ends_them_all(bench: Bench) -> None:
    events = bench.decoder.generate(PROMPT, Manner(resolve(replace(DRAWN, max_tokens=400), DEFAULTS), 3), CHAT)
    seen = [next(events) for _ in range(12)]
    bench.context.abort()
    finished = _checked([*seen, *events])
    assert {answer.reason for answer in finished.answers} == {"cancelled"}
    assert finished.reason == "cancelled"
    bench.context.abort(False)
    assert bench.ask(3).answers[2].tokens == 24


def test_an_abort_in_prefill_ends_them_all(bench: Bench) -> None:
    bench.context.abort()
    finished = bench.ask(3)
    assert [answer.reason for answer in finished.answers] == ["cancelled"] * 3
    assert finished.reply_tokens == 0


def test_each_ends_on_its_own(bench: Bench) -> None:
    """A stop word that one of them writes ends that one alone."""
    whole = bench.ask(3, replace(DRAWN, max_tokens=30)).answers
    word = next(piece for piece in _pieces(whole[1]) if all(piece not in whole[other].text for other in (0, 2)))
    answers = bench.ask(3, replace(DRAWN, max_tokens=30, stop=(word,))).answers
    assert [answer.reason for answer in answers] == ["max_tokens", "stop", "max_tokens"]
    assert answers[1].text == whole[1].text[: whole[1].text.index(word)]
    assert (answers[0].text, answers[2].text) == (whole[0].text, whole[2].text)


def _pieces(answer: Answer) -> Iterator[str]:
    text = answer.text
    for size in (2, 3, 4, 6):
        yield from (text[at : at + size] for at in range(4, len(text) - size))


def test_nothing_private_stays(bench: Bench) -> None:
    bench.ask(3, want=Want(private=True))
    bench.decoder.cache.discard()
    assert [line for line in bench.decoder.cache.sequences.lines if line.private] == []
    assert bench.decoder.cache.sequences.tokens() == 0


def test_of_no_chat_the_first_stays_alone(bench: Bench) -> None:
    bench.ask(4, want=Want())
    assert len(bench.decoder.cache.sequences.lines) == 1


def test_more_than_there_are_sequences_is_refused(bench: Bench) -> None:
    with pytest.raises(RequestInvalid, match="cannot be had"):
        bench.ask(17)


def test_closing_in_the_middle_leaves_a_sound_cache(bench: Bench) -> None:
    events = bench.decoder.generate(PROMPT, Manner(resolve(DRAWN, DEFAULTS), 4), Want())
    for _ in range(9):
        next(events)
    events.close()
    assert len(bench.decoder.cache.sequences.lines) == 1
    assert bench.ask(4).answers == bench.ask(4).answers


def test_when_the_context_is_full_each_says_so(llama: Llama, models: Path) -> None:
    model = Model(llama, str(tiny_llama(models / "answers-full.gguf")))
    context = small_context(llama, model, 256)
    decoder = decoder_of(llama, model, context)
    sampling = resolve(replace(DRAWN, max_tokens=None, logit_bias=_no_end(model)), DEFAULTS)
    *_, finished = decoder.generate(PROMPT, Manner(sampling, 3), CHAT)
    assert isinstance(finished, Finished)
    assert {answer.reason for answer in finished.answers} == {"context"}
    assert all(50 <= answer.tokens <= 56 for answer in finished.answers), "three share 166 cells"
    context.close()
    model.close()


def _no_end(model: Model) -> tuple[str, ...]:
    return tuple(f"#{token}=-inf" for token in range(model.vocab.size) if model.vocab.is_eog(token))
