"""The decode loop on tiny models in this process: why a reply ends, its exact ids and text, and the same bits again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.tiny_gguf import BYTE_0, IM_END, LONG_PIECES, tiny_llama, tokens

from llmchat_engine.errors import ContextFull, GenerationFailed
from llmchat_engine.events import Finished, Prefill, Token
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

N_CTX = 1536
DRAWN = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=11)


class Bench:
    """One model, one context, one decoder."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.model = Model(llama, str(path))
        self.context = small_context(llama, self.model, N_CTX)
        self.decoder = decoder_of(llama, self.model, self.context)

    def run(
        self, ids: list[int], sampling: Sampling | None = None, *, exact: bool = False, limit: int = 20
    ) -> Finished:
        asked = sampling or Sampling(temperature=0.0, max_tokens=limit)
        *events, last = self.decoder.generate(ids, Manner(resolve(asked, DEFAULTS)), Want(exact=exact))
        assert isinstance(last, Finished)
        assert "".join(event.text for event in events if isinstance(event, Token)) == last.text
        assert last.cached_tokens + last.prefilled_tokens == last.prompt_tokens == len(ids)
        return last

    def text_of(self, ids: tuple[int, ...]) -> str:
        return b"".join(map(self.model.vocab.piece, ids)).decode("utf-8", "replace")

    def close(self) -> None:
        self.context.close()
        self.model.close()


@pytest.fixture(scope="module")
def shared(llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, tiny_llama(models / "decode.gguf"))
    yield bench
    bench.close()


@pytest.fixture
def bench(shared: Bench) -> Bench:
    """The shared bench with an empty cache and the abort flag down."""
    shared.decoder.cache.truncate(0)
    shared.context.abort(False)
    return shared


def prompt(length: int, first: int = 0) -> list[int]:
    """Returns ids of plain tokens, the same for the same arguments."""
    return [280 + (7 * (first + index) + index * index) % 200 for index in range(length)]


def test_a_prompt_that_leaves_no_room_is_refused_with_its_counts(bench: Bench) -> None:
    with pytest.raises(ContextFull) as caught:
        bench.run(prompt(N_CTX))
    assert (caught.value.prompt_tokens, caught.value.n_ctx) == (N_CTX, N_CTX)


def test_a_prompt_that_leaves_room_for_one_gets_one(bench: Bench) -> None:
    finished = bench.run(prompt(N_CTX - 1), limit=5)
    assert (finished.reason, finished.reply_tokens) == ("context", 1)


def test_a_reply_that_fills_the_context_says_so(bench: Bench) -> None:
    finished = bench.run(prompt(N_CTX - 5), DRAWN)
    assert (finished.reason, finished.reply_tokens) == ("context", 5)


def test_max_tokens_is_the_reason_when_both_end_together(bench: Bench) -> None:
    assert bench.run(prompt(N_CTX - 5), limit=5).reason == "max_tokens"


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_max_tokens(bench: Bench, limit: int) -> None:
    finished = bench.run(prompt(30), limit=limit)
    assert (finished.reason, finished.reply_tokens) == ("max_tokens", limit)
    assert bench.text_of(finished.token_ids) == finished.text


def test_every_token_of_the_end_set_ends_a_reply(bench: Bench) -> None:
    for seed in range(40):
        finished = bench.run(prompt(30), Sampling(2.0, 0, 1.0, 0.0, seed=seed))
        assert finished.reason in ("eog", "context")
        ends = [token for token in finished.token_ids if bench.model.vocab.is_eog(token)]
        assert ends == list(finished.token_ids[-1:] if finished.reason == "eog" else [])
        assert bench.text_of(finished.token_ids) == finished.text
        if ends == [IM_END]:
            return
    pytest.fail("no reply ended by itself")


def test_a_stop_word_cuts_the_text_and_the_ids_alike(bench: Bench) -> None:
    whole = bench.run(prompt(30), limit=60)
    tried = 0
    for start in range(3, len(whole.text) - 4, 3):
        word = whole.text[start : start + 4]
        if "\ufffd" in word:
            continue
        finished = bench.run(prompt(30), Sampling(temperature=0.0, max_tokens=60, stop=("never in it", word)))
        assert finished.reason == "stop"
        assert finished.text == whole.text[: whole.text.index(word)]
        assert not finished.token_ids or bench.text_of(finished.token_ids) == finished.text
        assert finished.token_ids == whole.token_ids[: len(finished.token_ids)]
        tried += 1
    assert tried > 5


def test_a_stop_word_inside_a_token_leaves_no_ids(bench: Bench) -> None:
    whole = bench.run(prompt(30), limit=60)
    pieces = [bench.text_of((token,)) for token in whole.token_ids]
    place = next(index for index, piece in enumerate(pieces) if index and len(piece) >= 3 and piece.isascii())
    word = pieces[place][1:]
    if word in "".join(pieces[:place]):
        pytest.skip("the word occurs earlier in this reply")
    finished = bench.run(prompt(30), Sampling(temperature=0.0, max_tokens=60, stop=(word,)))
    assert finished.text.endswith(pieces[place][0])
    assert finished.token_ids == ()


def test_pieces_longer_than_32_bytes_are_exact(bench: Bench) -> None:
    vocab, texts = bench.model.vocab, tokens(512)
    for piece in LONG_PIECES:
        text = piece.replace("\u2581", " ")
        assert vocab.piece(texts.index(piece)).decode() == text
        ids = vocab.tokenize(text, special=False)
        assert b"".join(map(vocab.piece, ids)).decode() == text
    assert max(len(vocab.piece(token)) for token in range(512)) == 40


def test_a_piece_longer_than_the_buffer_grows_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    vocab = bench.model.vocab
    monkeypatch.setattr(vocab, "_piece", ctypes.create_string_buffer(3))
    assert vocab.piece(tokens(512).index("=" * 40)) == b"=" * 40


def test_half_a_character_at_the_end_becomes_a_replacement(bench: Bench) -> None:
    for seed in range(400):
        finished = bench.run(prompt(5), Sampling(2.0, 0, 1.0, 0.0, seed=seed, max_tokens=1))
        token = finished.token_ids[0]
        if BYTE_0 + 0xC2 <= token < BYTE_0 + 0xF5:
            assert (finished.text, finished.reason) == ("\ufffd", "max_tokens")
            return
    pytest.fail("no seed drew half a character")


@pytest.mark.parametrize("ids", [[5000], [-1], [2**40]])
def test_an_id_outside_the_vocabulary_costs_one_request(bench: Bench, ids: list[int]) -> None:
    before = bench.run(prompt(10))
    with pytest.raises((GenerationFailed, OverflowError)):
        bench.run([*prompt(10), *ids, *prompt(3)])
    assert bench.run(prompt(10)).token_ids == before.token_ids


def test_an_aborted_prefill_keeps_what_is_whole(bench: Bench) -> None:
    ids = prompt(1100)
    events = bench.decoder.generate(ids, Manner(resolve(Sampling(temperature=0.0), DEFAULTS)), Want())
    for event in events:
        if isinstance(event, Prefill) and event.done == 512:
            bench.context.abort()
    assert isinstance(event, Finished)
    assert (event.reason, event.reply_tokens, event.token_ids) == ("cancelled", 0, ())
    bench.context.abort(False)
    assert bench.run(ids, limit=2).cached_tokens == 512


def test_an_abort_between_two_tokens_ends_the_reply(bench: Bench) -> None:
    events = bench.decoder.generate(prompt(10), Manner(resolve(DRAWN, DEFAULTS)), Want())
    for event in events:
        if isinstance(event, Token):
            bench.context.abort()
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert 0 < event.reply_tokens < 5


def test_the_same_seed_gives_the_same_ids_whatever_ran_before(bench: Bench) -> None:
    for length in (40, 512, 513, 1100):
        ids = prompt(length)
        first = bench.run(ids, Sampling(1.0, 0, 1.0, 0.0, seed=5, max_tokens=60), exact=True)
        bench.run([*ids[: length // 2], *prompt(50, first=3)], limit=5)
        bench.run(ids, limit=10)
        again = bench.run(ids, Sampling(1.0, 0, 1.0, 0.0, seed=5, max_tokens=60), exact=True)
        assert again.token_ids == first.token_ids
        assert again.cached_tokens % 512 == 0


def test_exact_reuses_the_grid(bench: Bench) -> None:
    ids = prompt(1300)
    bench.run(ids, limit=30)
    assert bench.run(ids, limit=30, exact=True).cached_tokens == 1024
    assert bench.run([*ids[:1000], *prompt(200, first=9)], limit=3, exact=True).cached_tokens == 512
    assert bench.run(prompt(300), limit=3, exact=True).cached_tokens == 0


def test_other_seeds_give_other_ids(bench: Bench) -> None:
    replies = {bench.run(prompt(40), Sampling(1.5, 0, 1.0, 0.0, seed=s, max_tokens=20)).token_ids for s in range(5)}
    assert len(replies) == 5


@pytest.mark.parametrize("length", [2, 100, 700])
def test_asking_again_gives_the_same_bits(bench: Bench, length: int) -> None:
    """The last token of a prompt is decoded alone, so its logits do not depend on where the rest came from."""
    rows = []
    for _ in range(3):
        for event in bench.decoder.generate(
            prompt(length), Manner(resolve(Sampling(temperature=0.0), DEFAULTS)), Want()
        ):
            if isinstance(event, Prefill) and event.done == event.total:
                rows.append(bench.context.logits().tobytes())
                break
    assert rows[0] == rows[1] == rows[2]


def test_the_next_turn_finds_all_that_the_last_one_left(bench: Bench) -> None:
    ids = prompt(60)
    cached = 0
    for turn in range(4):
        finished = bench.run(ids, Sampling(1.0, 0, 1.0, 0.0, seed=turn, max_tokens=10))
        assert finished.cached_tokens == cached
        cached = len(bench.decoder.cache.ids)
        # The last sampled token never went through the model.
        assert cached == len(ids) + finished.reply_tokens - 1
        ids = [*ids, *finished.token_ids, *prompt(20, first=turn)]


def test_reuse_agrees_with_an_empty_cache(bench: Bench) -> None:
    history = prompt(90)
    bench.run(history, limit=15)
    reused = bench.run([*history[:70], *prompt(30, first=2)], limit=1)
    assert reused.cached_tokens == 70
    row = bench.context.logits().copy()
    bench.decoder.cache.truncate(0)
    bench.run([*history[:70], *prompt(30, first=2)], limit=1)
    assert float(abs(row - bench.context.logits()).max()) < 0.05


@pytest.mark.parametrize(("repeatable", "batches"), [(True, [39, 1]), (False, [40])])
def test_the_last_token_is_read_alone_only_where_the_answer_shall_be_the_same_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, repeatable: bool, batches: list[int]
) -> None:
    sizes: list[int] = []
    decode = bench.context.decode

    def counted(ids: list[int], start: int, sequence: int) -> bool:
        sizes.append(len(ids))
        return decode(ids, start, sequence)

    monkeypatch.setattr(bench.context, "decode", counted)
    *_, last = bench.decoder.generate(
        prompt(40), Manner(resolve(Sampling(max_tokens=1), DEFAULTS)), Want(repeatable=repeatable)
    )
    assert isinstance(last, Finished)
    assert sizes == batches
