"""Where each message begins in a prompt, a reply that is to be continued, and the ids of pieces that are remembered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from tests.engine.tiny_gguf import IM_END

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.prompt import PieceIds, Prompt, build_prompt
from llmchat_engine.host.template import CHATML, ChatTemplate
from llmchat_engine.host.template_pieces import Piece
from llmchat_engine.types import Message, Request

KEY = "k" * 64
SYSTEM, QUESTION = Message("system", "be brief"), Message("user", "why?")
OWN = Message("assistant", "so", (1001, 1002), KEY)


class Letters:
    """A vocabulary in which each character is a token."""

    bos, size = 2000, 3000

    def __init__(self, *, add_bos: bool = False) -> None:
        self.add_bos, self.asked = add_bos, 0

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        self.asked += 1
        return [min(ord(sign), 999) for sign in text]

    def end_texts(self, tokens: Iterable[int]) -> dict[int, str]:
        return {token: "<|im_end|>" for token in tokens if token == IM_END}


def prompt_of(*messages: Message, add_bos: bool = False, raw: bool = False) -> Prompt:
    template = ChatTemplate(CHATML, bos="", eos="", model_key=KEY)
    return build_prompt(Request(messages, raw=raw), template, PieceIds(Letters(add_bos=add_bos)))


def text_at(prompt: Prompt, index: int, length: int) -> str:
    start = prompt.starts[index]
    return "".join(map(chr, prompt.ids[start : start + length]))


@pytest.mark.parametrize("add_bos", [False, True])
def test_each_message_begins_where_it_is_said_to(add_bos: bool) -> None:
    prompt = prompt_of(SYSTEM, QUESTION, OWN, Message("user", "and?"), add_bos=add_bos)
    assert [text_at(prompt, 0, 8), text_at(prompt, 1, 4), text_at(prompt, 3, 4)] == ["be brief", "why?", "and?"]
    assert prompt.ids[prompt.starts[2] :][:2] == OWN.token_ids
    assert (prompt.ids[0] == Letters.bos) == add_bos


def test_before_a_message_stands_what_the_next_turn_has_too() -> None:
    one, other = prompt_of(SYSTEM, QUESTION), prompt_of(SYSTEM, Message("user", "something else"), OWN, QUESTION)
    length = one.before(1)
    assert one.ids[:length] == other.ids[:length]
    assert length == len("<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n")
    assert one.before(7) == 0


def test_a_blank_message_begins_nowhere() -> None:
    prompt = prompt_of(Message("system", " "), QUESTION)
    assert prompt.starts[0] == -1 and prompt.before(0) == 0
    assert text_at(prompt, 1, 4) == "why?"


def test_without_a_template_all_begin_at_once() -> None:
    assert prompt_of(SYSTEM, QUESTION, raw=True).starts == (0, 0)


@pytest.mark.parametrize(
    ("begun", "behind"),
    [
        (OWN, OWN.token_ids),
        (Message("assistant", "so", (1001, 1002, IM_END), KEY), (1001, 1002)),
        (Message("assistant", "so", (1001,), "another"), (ord("s"), ord("o"))),
        (Message("assistant", "so", (5000,), KEY), (ord("s"), ord("o"))),
        (Message("assistant", "so"), (ord("s"), ord("o"))),
        (Message("assistant", ""), ()),
    ],
    ids=["own ids", "without its end", "of another model", "of no vocabulary", "text", "nothing yet"],
)
def test_a_reply_goes_on_right_behind_what_it_has(begun: Message, behind: Sequence[int]) -> None:
    asked, prompt = prompt_of(SYSTEM, QUESTION), prompt_of(SYSTEM, QUESTION, begun)
    assert prompt.ids == (*asked.ids, *behind)
    assert prompt.before(2) == len(asked.ids)
    assert prompt.text == asked.text + begun.text


def test_a_reply_to_nothing_cannot_go_on() -> None:
    with pytest.raises(RequestInvalid, match="nothing to go on with"):
        prompt_of(OWN)


def test_a_piece_is_tokenised_once() -> None:
    vocab = Letters()
    pieces = PieceIds(vocab)
    piece = Piece("a text", special=False)
    assert list(pieces.of(piece)) == list(pieces.of(piece)) == vocab.tokenize("a text", special=False)
    assert vocab.asked == 2
    pieces.of(Piece("a text", special=True))
    assert vocab.asked == 3
    assert pieces.of(Piece("a text", False, (7, 8))) == (7, 8)
    assert vocab.asked == 3


def test_of_too_many_pieces_the_longest_unasked_is_forgotten() -> None:
    vocab = Letters()
    pieces = PieceIds(vocab, remembered=10)
    for text in ("aaaa", "bbbb", "aaaa", "cccc"):
        pieces.of(Piece(text, special=False))
    assert vocab.asked == 3
    pieces.of(Piece("aaaa", special=False))
    assert vocab.asked == 3
    pieces.of(Piece("bbbb", special=False))
    assert vocab.asked == 4


def test_a_piece_larger_than_the_room_is_right_and_not_kept() -> None:
    vocab = Letters()
    pieces = PieceIds(vocab, remembered=10)
    long = Piece("x" * 50, special=False)
    assert len(pieces.of(long)) == len(pieces.of(long)) == 50
    assert vocab.asked == 2
    pieces.of(Piece("yy", special=False))
    pieces.of(Piece("yy", special=False))
    assert vocab.asked == 3
