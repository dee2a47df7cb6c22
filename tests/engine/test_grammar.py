"""Replies under a grammar on tiny models: always its text, and what the chain draws alone wherever that fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.engine.constrained import GREEDY, Writer, drawn
from tests.engine.gbnf_samples import JSON
from tests.engine.tiny_gguf import BYTE_0, IM_END, IM_START, tiny_llama, tokens

from llmchat_engine.errors import GenerationFailed, RequestInvalid
from llmchat_engine.grammar import check_grammar
from llmchat_engine.host import grammar
from llmchat_engine.host.candidates import Candidates
from llmchat_engine.host.grammar import Constraint
from llmchat_engine.host.llama import Llama, sampler_chain

PROMPT = [300, 301, 302]
ANYTHING = "root ::= [\\x01-\\U0010FFFF]*"


@pytest.fixture(scope="module")
def writer(llama: Llama, models: Path) -> Iterator[Writer]:
    writer = Writer(llama, tiny_llama(models / "grammar.gguf"))
    yield writer
    writer.close()


def constraint_of(writer: Writer, gbnf: str) -> closing[Constraint]:
    """Returns a constraint that is closed behind its block."""
    check_grammar(gbnf)
    return closing(Constraint(writer.llama, writer.model.vocab, gbnf))


def row_of(writer: Writer, *likely: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Returns logits of which these are the highest, in this order."""
    row = np.zeros(writer.model.vocab.size, np.float32)
    for place, token in enumerate(likely):
        row[token] = 50 - place
    return row


def choose(writer: Writer, constraint: Constraint, *likely: int) -> int:
    """Returns what a greedy chain chooses where these tokens are likeliest."""
    with sampler_chain(writer.llama, writer.model.vocab, GREEDY) as chain:
        return constraint.choose(chain, row_of(writer, *likely))


def token_of(text: str) -> int:
    """Returns the id of one of the vocabulary's texts."""
    return tokens(512).index(text)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("gbnf", "pattern"),
    [
        ('root ::= "yes" | "no"', "yes|no"),
        ('root ::= [a-c]{2,5} "-" [0-9]+', "[a-c]{2,5}-[0-9]+"),
        ('root ::= ("ab" | "a" "c"?){1,3} "."', "(ab|ac?){1,3}\\."),
        ('root ::= "é" [ä-ö]{1,4} "日本"', "é[ä-ö]{1,4}日本"),
        ("root ::= [\\U0001F600-\\U0001F64F]{3}", "[\U0001f600-\U0001f64f]{3}"),
    ],
)
def test_what_is_complete_matches_and_what_is_not_is_its_beginning(
    writer: Writer, gbnf: str, pattern: str, seed: int
) -> None:
    written = writer.write(gbnf, PROMPT, drawn(seed))
    if written.complete:
        assert re.fullmatch(pattern, written.text)
    assert written.complete or len(written.ids) == 60
    assert written.complete or not written.ended


def test_a_reply_may_end_only_where_the_grammar_does(writer: Writer) -> None:
    for seed in range(30):
        written = writer.write("root ::= [a-z]{40,200}", PROMPT, drawn(seed, 3.0), limit=300)
        assert written.ended
        assert 40 <= len(written.text) <= 200


def test_a_token_that_fits_is_the_one_the_chain_draws_alone(writer: Writer) -> None:
    """With a grammar that allows all, the reply is that of the same seed without one."""
    for seed in range(10):
        written = writer.write(ANYTHING, PROMPT, drawn(seed))
        vocab = writer.model.vocab
        writer.context.clear()
        writer.context.decode(PROMPT, 0)
        with sampler_chain(writer.llama, vocab, drawn(seed)) as chain:
            for place, token in enumerate(written.ids):
                alone = chain.sample(writer.context)
                if alone != token:
                    # Refused: an end inside a character, a control token, bytes that are no text.
                    piece = vocab.piece(alone)
                    before = b"".join(map(vocab.piece, written.ids[:place]))
                    assert not piece or "\ufffd" in (before + piece).decode("utf-8", "replace")
                    break
                chain.accept(token)
                writer.context.decode([token], len(PROMPT) + place)


def test_all_that_is_written_is_utf_8(writer: Writer) -> None:
    """The vocabulary has every byte as a token: overlong forms and surrogates are a draw away."""
    for seed in range(60):
        written = writer.write('root ::= ["] [^"\\x00-\\x1f]* ["]', PROMPT, drawn(seed, 5.0), limit=40)
        text = written.data.decode("utf-8", "ignore" if not written.complete else "strict")
        # Only the last character may be cut off by the limit.
        assert len(written.data) - len(text.encode()) < 4


@pytest.mark.parametrize(
    "bytes_",
    [(0xC0, 0x80), (0xE0, 0x82, 0x80), (0xED, 0xA0, 0x80), (0xF0, 0x82, 0x82, 0x80), (0xF4, 0x90, 0x80, 0x80)],
    ids=["overlong 2", "overlong 3", "surrogate", "overlong 4", "behind the last"],
)
def test_bytes_that_are_no_text_are_refused(writer: Writer, bytes_: tuple[int, ...]) -> None:
    with constraint_of(writer, ANYTHING) as constraint:
        for byte in bytes_:
            if choose(writer, constraint, BYTE_0 + byte) != BYTE_0 + byte:
                return
            constraint.accept(BYTE_0 + byte)
    pytest.fail("all of them were allowed")


def test_a_reply_does_not_end_inside_a_character(writer: Writer) -> None:
    with constraint_of(writer, ANYTHING) as constraint:
        assert constraint.complete
        constraint.accept(BYTE_0 + 0xC3)
        assert not constraint.complete
        chosen = choose(writer, constraint, IM_END, BYTE_0 + 0xA4)
        assert chosen == BYTE_0 + 0xA4
        constraint.accept(chosen)
        assert constraint.complete
        assert choose(writer, constraint, IM_END) == IM_END


def test_a_control_token_is_no_text(writer: Writer) -> None:
    """llama.cpp reads "<|im_start|>" as twelve characters; the reply's text has none of them."""
    with constraint_of(writer, 'root ::= "<|im_start|>x"') as constraint:
        chosen = choose(writer, constraint, IM_START)
        assert writer.model.vocab.piece(chosen) in (b"<",)
        assert choose(writer, constraint, IM_START) == chosen


def test_the_byte_zero_is_no_text(writer: Writer) -> None:
    with constraint_of(writer, "root ::= [^a]*") as constraint:
        assert choose(writer, constraint, BYTE_0, IM_END) == IM_END


def test_the_likeliest_that_fits_is_chosen(writer: Writer) -> None:
    with constraint_of(writer, 'root ::= [b-d] "!"') as constraint:
        assert choose(writer, constraint, *map(token_of, "azc")) == token_of("c")
        assert choose(writer, constraint, *map(token_of, "dcb")) == token_of("d")


def test_a_row_is_left_as_it_is(writer: Writer) -> None:
    row = row_of(writer, IM_START, IM_END)
    before = row.tobytes()
    with (
        constraint_of(writer, 'root ::= "yes"') as constraint,
        sampler_chain(writer.llama, writer.model.vocab, drawn(1)) as chain,
    ):
        constraint.choose(chain, row)
    assert row.tobytes() == before


def test_accepting_what_does_not_fit_is_an_error_and_no_abort(writer: Writer) -> None:
    with constraint_of(writer, 'root ::= "yes"') as constraint:
        for token in (IM_END, IM_START, token_of("n"), BYTE_0 + 0xFF):
            with pytest.raises(GenerationFailed, match="does not fit"):
                constraint.accept(token)
        for char in "yes":
            constraint.accept(token_of(char))
        assert constraint.complete
        with pytest.raises(GenerationFailed, match="does not fit"):
            constraint.accept(token_of("s"))
        constraint.accept(IM_END)


def test_where_no_token_fits_it_is_said(writer: Writer) -> None:
    with (
        constraint_of(writer, "root ::= [a-z]") as constraint,
        sampler_chain(writer.llama, writer.model.vocab, GREEDY) as chain,
        pytest.raises(GenerationFailed, match="no token of this model"),
    ):
        constraint.choose(chain, row_of(writer)[:2])  # of two control tokens alone


def test_a_grammar_that_llama_refuses_is_a_request_that_is_invalid(writer: Writer) -> None:
    with pytest.raises(RequestInvalid, match="cannot read it"):
        Constraint(writer.llama, writer.model.vocab, "root ::= (")


def test_a_step_that_takes_too_long_ends_the_reply(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ambiguous grammar, past the checker: the readings double with every character."""
    monkeypatch.setattr(grammar, "LONGEST_STEP", 0.05)
    explosive = 'root ::= e\ne ::= "=" e "b" | "=" e "c" | "d"'
    with pytest.raises(RequestInvalid, match="too many ways"):
        check_grammar(explosive)
    with closing(Constraint(writer.llama, writer.model.vocab, explosive)) as constraint:

        def write() -> None:
            for _ in range(24):
                constraint.accept(token_of("="))

        with pytest.raises(GenerationFailed, match="takes too long"):
            write()


def test_candidates_keep_what_came_in(llama: Llama) -> None:
    candidates = Candidates(llama.c, 5)
    candidates.fill(np.array([0.5, -np.inf, 2.0], np.float32), np.array([4, 3, 1], np.int32))
    ids, logits = candidates.allowed()
    assert (ids.tolist(), logits.tolist()) == ([4, 1], [0.5, 2.0])
    assert candidates.chosen == -1
    candidates.fill(np.arange(5, dtype=np.float32))
    assert candidates.allowed()[0].tolist() == [0, 1, 2, 3, 4]


def test_json_of_a_model_that_writes_nonsense(writer: Writer) -> None:
    import json

    check_grammar(JSON)
    complete = 0
    for seed in range(30):
        written = writer.write(JSON, PROMPT, drawn(seed))
        if written.complete:
            complete += 1
            assert isinstance(json.loads(written.data), dict)
    assert complete > 3
