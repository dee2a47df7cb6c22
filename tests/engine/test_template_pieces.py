"""Messages in a prompt are found whatever is in them; what cannot be explained is not guessed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.host.template_pieces import Piece, Replies, hide, left_out, split
from llmchat_engine.types import Message, Role

NOBODY = Replies("", {})
TEXTS = st.text(st.sampled_from("ab<|>\n \t\U000f0000\U000f0001\U00100000é"), max_size=12)
ROLES: st.SearchStrategy[Role] = st.sampled_from(["system", "user", "assistant"])
MESSAGES = st.lists(st.builds(Message, ROLES, TEXTS), max_size=6)


def wrapped(messages: list[Message], trim: frozenset[Role] = frozenset()) -> str:
    """Returns what a simple template would write."""
    parts = (f"<|{m.role}|>{m.text.strip() if m.role in trim else m.text}<|end|>" for m in messages)
    return "".join(parts) + "<|assistant|>"


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.frozensets(ROLES))
def test_finds_every_message_of_any_text(messages: list[Message], trim: frozenset[Role]) -> None:
    hidden, stands_for = hide(messages, "")
    plain = wrapped(messages, trim)
    pieces = split(wrapped(hidden, trim), plain, stands_for, NOBODY)
    assert pieces is not None
    assert "".join(piece.text for piece in pieces) == plain
    contents = [piece.text for piece in pieces if not piece.special]
    expected = [m.text.strip() if m.role in trim else m.text for m in messages if m.text.strip()]
    assert contents == expected
    own = "".join(piece.text for piece in pieces if piece.special).replace("<|end|>", "")
    assert own.translate(str.maketrans("", "", " \n\t")) == wrapped([Message(m.role, "") for m in messages]).replace(
        "<|end|>", ""
    )


@settings(max_examples=100, deadline=None)
@given(MESSAGES, TEXTS)
def test_marks_are_new_and_never_the_same(messages: list[Message], template: str) -> None:
    hidden, stands_for = hide(messages, template)
    everything = template + "".join(message.text for message in messages)
    assert not any(mark in everything for mark in stands_for)
    assert len(stands_for) == sum(1 for message in messages if message.text.strip())
    assert [message.role for message in hidden] == [message.role for message in messages]


def test_marks_differ_from_rendering_to_rendering() -> None:
    message = [Message("user", "a")]
    assert len({next(iter(hide(message, "")[1])) for _ in range(20)}) > 1


def test_names_what_was_left_out() -> None:
    messages = [Message("system", "a"), Message("user", "b"), Message("user", "")]
    hidden, stands_for = hide(messages, "")
    assert left_out(hidden[1].text, stands_for) == [messages[0]]


def test_does_not_guess() -> None:
    messages = [Message("user", "a"), Message("user", "b")]
    hidden, stands_for = hide(messages, "")
    skeleton = f"<{hidden[0].text}|{hidden[1].text}>"
    assert split(skeleton, "<a|b>", stands_for, NOBODY) is not None
    for plain in ("<b|a>", "<a|b>>", "<<a|b>", "<a|c>", "a|b", "", "<a|b"):
        assert split(skeleton, plain, stands_for, NOBODY) is None


def test_without_messages_the_whole_is_the_templates() -> None:
    assert split("<x>", "<x>", {}, NOBODY) == (Piece("<x>", special=True),)
    assert split("<x>", "<y>", {}, NOBODY) is None
