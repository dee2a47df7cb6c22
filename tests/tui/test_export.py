"""A chat as Markdown and as JSON."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from llmchat_tui.export import Export, local_time, to_json, to_markdown, transcript, utc_time
from llmchat_tui.history.values import Conversation, StoredMessage

CHAT = Conversation("01ABC", 'A "title": #1', "Be brief.", 0.0, 86_400.0, "m2", 2, {"top_k": 3})
QUESTION = StoredMessage("m1", "01ABC", "", "user", "Where?\n", "complete", 0.0)
REPLY = StoredMessage(
    "m2", "01ABC", "m1", "assistant", "In *Paris*.", "stopped", 1.0, (5, 6), "key",
    {"model": "SmolLM2", "sampling": {"seed": 7, "temperature": 0.0}}, {"reply_tokens": 2}, "why",
)  # fmt: skip


def test_markdown() -> None:
    assert to_markdown(CHAT, [QUESTION, REPLY]) == (
        '---\ntitle: "A \\"title\\": #1"\nid: "01ABC"\ncreated: "1970-01-01T00:00:00Z"\n'
        'updated: "1970-01-02T00:00:00Z"\nmodels: ["SmolLM2"]\n---\n\n'
        '# A "title": #1\n\n## System\n\nBe brief.\n\n## You\n\nWhere?\n\n## SmolLM2 (stopped)\n\nIn *Paris*.\n'
    )


def test_an_empty_chat() -> None:
    assert transcript(Conversation("1", "t", "", 0, 0), []) == "# t\n"


def test_json_loses_nothing() -> None:
    export = msgspec.json.decode(to_json(CHAT, [QUESTION, REPLY]), type=Export)
    assert export == Export("llmchat-chat", 1, CHAT, (QUESTION, REPLY))


@given(text=st.text(st.characters(codec="utf-8")), title=st.text(st.characters(codec="utf-8")))
def test_any_text(text: str, title: str) -> None:
    message = StoredMessage("m", "c", "", "user", text, "complete", 0.0)
    chat = Conversation("c", title, "", 0, 0)
    assert msgspec.json.decode(to_json(chat, [message]), type=Export).messages[0].text == text
    head = to_markdown(chat, [message]).split("\n")
    assert msgspec.json.decode(head[1].removeprefix("title: ")) == title


def test_times_that_no_calendar_has() -> None:
    assert [utc_time(at) + local_time(at) for at in (float("nan"), float("inf"), -1e300)] == ["", "", ""]


def test_sources_and_doubts_stand_under_the_reply() -> None:
    source = {
        "n": 1,
        "source": "a`b.md:3",
        "collection": "notes",
        "path": "a`b.md",
        "title": "",
        "heading": "",
        "text": "x",
    }
    verdicts = [
        {"start": 0, "end": 9, "ids": [1], "mark": "supported", "why": "", "better": None},
        {"start": 10, "end": 18, "ids": [1], "mark": "unsupported", "why": "the number 7\nis not there", "better": 2},
    ]
    settings = {"sources": [source], "verdicts": verdicts}
    reply = StoredMessage("m2", "01ABC", "m1", "assistant", "Yes [1]. Seven [1].", "complete", 1.0, settings=settings)
    assert transcript(Conversation("1", "t", "", 0, 0), [reply]) == (
        "# t\n\n## Model\n\nYes [1]. Seven [1].\n\n**Sources**\n\n- [1] `a'b.md:3` (`notes`)\n\n"
        "**Checked**: 1 ✓, 0 ~, 1 ✗\n\n- ✗ even [1] — the number 7 is not there (see [2])\n"
    )


def test_settings_of_another_program_are_no_sources() -> None:
    for found in (7, [7], [{"n": "1", "source": "s", "text": "t"}], [{"n": 1}], {"n": 1}):
        reply = StoredMessage(
            "m", "c", "q", "assistant", "Yes.", "complete", 1.0, settings={"sources": found, "verdicts": found}
        )
        assert transcript(Conversation("1", "t", "", 0, 0), [reply]) == "# t\n\n## Model\n\nYes.\n"
