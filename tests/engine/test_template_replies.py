"""Replies in a prompt: their own ids where they are still what the model said, text where they are not."""

from __future__ import annotations

import pytest
from tests.engine.test_template import (
    ANSWER,
    DROPS_THOUGHTS,
    FIRST,
    KEY,
    SECOND,
    TEMPLATES,
    contents,
    pieces,
    reference,
)

from llmchat_engine.host.template import ChatTemplate
from llmchat_engine.types import Message


def reply(ids: tuple[int, ...], text: str = "In Paris.", key: str = KEY) -> Message:
    """Returns a reply with ids."""
    return Message("assistant", text, ids, key)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_reply_of_this_model_keeps_its_ids(name: str) -> None:
    found = pieces(name, (FIRST, reply((7, 8, 2)), SECOND), end_texts={2: "<|im_end|>"})
    assert [(piece.text, piece.token_ids) for piece in found if piece.token_ids] == [("In Paris.", (7, 8))]
    assert "".join(piece.text for piece in found) == reference(TEMPLATES[name], (FIRST, ANSWER, SECOND))


def test_an_id_that_ends_nothing_stays() -> None:
    found = pieces("chatml", (FIRST, reply((7, 8)), SECOND), end_texts={2: "<|im_end|>"})
    assert [piece.token_ids for piece in found if piece.token_ids] == [(7, 8)]


@pytest.mark.parametrize(
    "message",
    [reply((7, 2), key="model-b"), reply(()), reply((2,)), Message("user", "x", (7, 2), KEY)],
    ids=["other model", "no ids", "only the end", "not a reply"],
)
def test_other_ids_are_not_used(message: Message) -> None:
    found = pieces("chatml", (FIRST, message, SECOND), end_texts={2: "<|im_end|>"})
    assert message.text in contents(found)
    assert not any(piece.token_ids for piece in found)


@pytest.mark.parametrize("name", sorted(DROPS_THOUGHTS))
def test_ids_are_not_used_where_the_template_drops_thoughts(name: str) -> None:
    found = pieces(name, (FIRST, reply((7, 8, 2), "<think>\nFrance?\n</think>\n\nIn Paris."), SECOND))
    assert [text.strip() for text in contents(found)] == [FIRST.text, "In Paris.", SECOND.text]
    assert not any(piece.token_ids for piece in found)


def test_ids_are_used_where_the_template_only_trims() -> None:
    found = pieces("llama-3.2", (FIRST, reply((7, 8, 2), "\n In Paris.\n"), SECOND), end_texts={2: "<|eot_id|>"})
    assert [(piece.text, piece.token_ids) for piece in found if piece.token_ids] == [("In Paris.", (7, 8))]


def test_thoughts_are_left_out_where_the_template_writes_them_anew() -> None:
    source = (
        "{% for m in messages %}<{{ m.role }}>"
        "{% if '</think>' in m.content %}[{{ m.content.split('</think>')[0].replace('<think>', '') }}]{% endif %}"
        "{{ m.content.split('</think>')[-1] }}{% endfor %}"
    )
    messages = (FIRST, reply((7, 8), "<think>\nFrance?\n</think>\n\nIn Paris."), SECOND)
    prompt = ChatTemplate(source, bos="", eos="", model_key=KEY).render(messages)
    assert prompt.text == reference(source, (FIRST, ANSWER, SECOND))
    assert prompt.notice == ""
    assert not any(piece.token_ids for piece in prompt.pieces)
