"""Why a chat was computed again: told where it is known and worth telling, and never a reason to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.events import Finished, nothing_generated
from llmchat_engine.host.prompt import Prompt
from llmchat_engine.host.reasons import WORTH_TELLING, why_computed_again
from llmchat_engine.types import Message, Request, Role, Sampling

CHAT = (
    Message("system", "be brief"),
    Message("user", "one?"),
    Message("assistant", "<think>hm</think>one"),
    Message("user", "two?"),
    Message("assistant", "two"),
    Message("user", "three?"),
)
STARTS = (3, 100, 200, 300, 400, 500)


def why(cached: int, messages: tuple[Message, ...] = CHAT, starts: tuple[int, ...] = STARTS) -> str:
    finished = Finished("eog", "", (), 600, cached, 600 - cached, 1, 0.0, 0.0, 0.0, Sampling())
    return why_computed_again(Request(messages, chat="chat"), Prompt("", (1,) * 600, starts), finished)


@pytest.mark.parametrize(
    ("cached", "reason"),
    [
        (0, "the chat was not in the cache"),
        (3, "the chat was not in the cache"),
        (50, "the system prompt is another one"),
        (150, "the chat was in the cache only in part"),
        (200, "an earlier thought has left the context"),
        (250, "an earlier thought has left the context"),
        (410, "the chat was in the cache only in part"),
        (500 - WORTH_TELLING + 1, ""),
        (500, ""),
        (599, ""),
    ],
)
def test_what_differs_is_named(cached: int, reason: str) -> None:
    assert why(cached) == reason


def test_a_chat_that_begins_has_no_reason() -> None:
    assert why(0, CHAT[:2], (3, 500)) == ""


def test_examples_were_never_in_a_chat() -> None:
    examples = Request(CHAT, chat="chat", shared=len(CHAT) - 1)
    nothing = replace(nothing_generated(examples), cached_tokens=0)
    assert why_computed_again(examples, Prompt("", (1,) * 600, STARTS), nothing) == ""
    said = replace(examples, shared=0)
    assert why_computed_again(said, Prompt("", (1,) * 600, STARTS), nothing) != ""


def test_a_reply_that_goes_on_counts_from_where_it_begins() -> None:
    begun = Message("assistant", "three is ")
    assert why(500, (*CHAT, begun), (*STARTS, 530)) == ""
    assert why(410, (*CHAT, begun), (*STARTS, 530)) != ""


def test_a_first_message_that_is_blank_does_no_harm() -> None:
    blank = (Message("system", " "), *CHAT[1:])
    assert why(5, blank, (-1, *STARTS[1:])) != ""
    assert why(0, blank, (-1, *STARTS[1:])) == "the chat was not in the cache"


ROLES = st.sampled_from(("system", "user", "assistant"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ROLES, st.integers(-1, 600)), min_size=1, max_size=6), st.integers(0, 600))
def test_it_never_fails(path: list[tuple[Role, int]], cached: int) -> None:
    messages = tuple(Message(role, "text") for role, _ in path)
    assert isinstance(why(cached, messages, tuple(start for _, start in path)), str)
    assert why(cached, messages, ()) == ""
