"""Tokens on their way to a client: joined per answer, in order, none lost and none counted twice."""

from __future__ import annotations

import pytest

from llmchat_engine.answers import Answer, TokenLogprob
from llmchat_engine.events import Answered, Token
from llmchat_engine.host import outlet
from llmchat_engine.host.outlet import Outlet
from llmchat_engine.protocol import News

END = Answered(0, Answer("eog", "ab", (1, 2), 2))


def told(number: int) -> TokenLogprob:
    return TokenLogprob(number, str(number), -1.0)


def test_what_comes_at_once_is_joined_per_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "_TOKEN_INTERVAL", 1e9)
    sent: list[News] = []
    way = Outlet(sent.append)
    way._sent_at = 1e12
    for number, answer in enumerate((0, 1, 0, 1, 0)):
        way.send(Token(f"{number} ", 2, answer, (told(number), told(10 + number))))
    assert sent == []
    way.send(END)
    assert sent == [
        Token("0 2 4 ", 6, 0, tuple(told(number) for number in (0, 10, 2, 12, 4, 14))),
        Token("1 3 ", 4, 1, tuple(told(number) for number in (1, 11, 3, 13))),
        END,
    ]
    way.send(END)
    assert sent[3:] == [END]


def test_thought_and_answer_are_never_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "_TOKEN_INTERVAL", 1e9)
    sent: list[News] = []
    way = Outlet(sent.append)
    way._sent_at = 1e12
    for text, answer, thought in (("a", 0, True), ("x", 1, True), ("b", 0, True), ("c", 0, False), ("y", 1, False)):
        way.send(Token(text, 1, answer, (), thought))
    way.send(END)
    assert sent == [
        Token("ab", 2, 0, (), True), Token("c", 1, 0), Token("x", 1, 1, (), True), Token("y", 1, 1), END,
    ]  # fmt: skip


def test_the_first_token_goes_out_at_once() -> None:
    sent: list[News] = []
    Outlet(sent.append).send(Token("a"))
    assert sent == [Token("a")]
