"""Chats from files: our own, those of `llm logs`, the zip around ChatGPT's, and what is refused."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tui.exports import TURN, chatgpt, node, read, short, zipped
from tests.tui.stored import add_turn

from llmchat_tui import errors
from llmchat_tui.errors import ImportRefused
from llmchat_tui.export import to_json
from llmchat_tui.history import Conversation, History, StoredMessage
from llmchat_tui.imports import read_export, reading


class TestOwn:
    def test_an_export_comes_back_and_goes_out_again_the_same(self, history: History) -> None:
        chat = add_turn(history, "Where is it?\nTell me.", "In Paris.", model="SmolLM2", sampling={"seed": 7})
        add_turn(history, "How high?", "330 m", chat)
        history.begin_reply(history.messages(chat)[0].id)
        history.configure(chat, system="Be brief.", sampling={"temperature": 0.5, "stop": ["END"]})
        before = exported(history, chat)

        ((conversation, messages),) = read(before).chats
        after = exported(history, history.add(conversation, messages))

        assert after != before
        assert not any(message.token_ids for message in messages)  # they could say what the text does not show
        assert without_ids(after) == without_ids(before.replace(b'"streaming"', b'"interrupted"'))
        assert read(before).left_out == ()

    def test_an_older_export_has_no_sampling(self) -> None:
        conversation = Conversation("c", "t", "", 1.0, 2.0, "m", 1)
        export = json.loads(to_json(conversation, [StoredMessage("m", "c", "", "user", "q", "complete", 1.0)]))
        del export["conversation"]["sampling"]
        assert read(export).chats[0][0] == conversation

    def test_sampling_that_cannot_be_used_is_told(self) -> None:
        conversation = Conversation("c", "Rome", "", 1.0, 2.0, "m", 1, {"top_k": 3, "top_p": 9, "evil": 1})
        imported = read(to_json(conversation, [StoredMessage("m", "c", "", "user", "q", "complete", 1.0)]))
        assert imported.chats[0][0].sampling == {"top_k": 3}
        assert imported.left_out == tuple(
            f'sampling value {name}, which cannot be used: 1 in "Rome"' for name in ("evil", "top_p")
        )

    @pytest.mark.parametrize(
        ("old", "new", "why"),
        [
            ('"version": 1', '"version": 2', "a newer llmchat made it"),
            ('"version": 1', '"version": "1"', "damaged"),
            ('"role": "user"', '"role": "system"', "damaged"),
            ('"parent_id": "q"', '"parent_id": "x"', "does not come before it"),
            ('"parent_id": "q"', '"parent_id": ""', "in the wrong place"),
            ('"id": "r"', '"id": "q"', "two messages have the id"),
            ('"title": "t"', '"title": null', "damaged"),
            ('"stats": {}', f'"stats": {{"a": {"[" * 40}{"]" * 40}}}', "nested too deeply"),
        ],
    )
    def test_what_llmchat_never_wrote_is_refused(self, old: str, new: str, why: str) -> None:
        question = StoredMessage("q", "c", "", "user", "text", "complete", 1.0)
        reply = replace(question, id="r", parent_id="q", role="assistant", token_ids=(1,))
        text = to_json(Conversation("c", "t", "", 1.0, 2.0), [question, reply]).decode()
        assert old in text
        with pytest.raises(ImportRefused, match=why):
            read(text.replace(old, new).encode())


def exported(history: History, chat: str) -> bytes:
    return to_json(history.conversation(chat), history.messages(chat))


def without_ids(export: bytes) -> dict[str, Any]:
    """Returns an export in which ids are numbers in the order they come, without the ids of tokens."""
    content: dict[str, Any] = json.loads(export)
    numbers = {message["id"]: number for number, message in enumerate(content["messages"])}
    for message in content["messages"]:
        message |= {"id": numbers[message["id"]], "parent_id": numbers.get(message["parent_id"]), "conversation_id": ""}
        message["token_ids"] = []
    conversation = content["conversation"]
    conversation |= {"id": "", "leaf_id": numbers[conversation["leaf_id"]]}
    return content


def row(number: int, conversation: str | None = "c1", **more: Any) -> dict[str, Any]:
    base = {"id": f"01{number}", "model": "gpt-4o", "prompt": f"p{number}", "system": None, "response": f"r{number}"}
    times = {"datetime_utc": f"2024-01-01T00:00:0{number}.5+00:00", "conversation_name": "Name of it"}
    return base | times | {"conversation_id": conversation, "token_details": {}} | more


class TestLlm:
    def test_rows_are_grouped_and_ordered_by_time(self) -> None:
        rows = [row(3), row(1, system="Be brief."), row(2, "c2", conversation_name=None)]
        one, two = read(rows).chats
        assert (one[0].title, one[0].system, two[0].title) == ("Name of it", "Be brief.", "p2")
        assert short(one[1]) == [
            ("user", "p1", ""),
            ("assistant", "r1", "p1"),
            ("user", "p3", "r1"),
            ("assistant", "r3", "p3"),
        ]
        assert (one[0].created_at, one[0].updated_at) == (1704067201.5, 1704067203.5)
        assert one[1][1].settings == {"model": "gpt-4o"}

    def test_times_without_a_zone_are_utc_and_odd_ones_are_none(self) -> None:
        rows = [row(1, "a", datetime_utc="2024-01-01T00:00:01.5"), row(2, "b", datetime_utc="x"), row(3, "c")]
        rows[2]["datetime_utc"] = None
        assert [chat.created_at for chat, _ in read(rows).chats] == [1704067201.5, 0.0, 0.0]

    def test_rows_without_a_conversation_are_chats_of_their_own(self) -> None:
        assert len(read([row(1, None), row(2, None)]).chats) == 2

    def test_what_is_missing_or_left_out_is_told(self) -> None:
        rows = [
            row(1, prompt=None, system="one", attachments=[{"type": "image/png"}, {"type": "image/png"}]),
            row(2, response=None, system="two", prompt_fragments=["x"]),
            {"id": 3, "prompt": "p", "response": "r"},
        ]
        imported = read(rows)
        ((conversation, messages),) = imported.chats
        assert conversation.system == "one"
        assert [(m.text, m.status) for m in messages] == [
            ("(no question)", "complete"),
            ("r1", "complete"),
            ("p2", "complete"),
            ("", "interrupted"),
        ]
        assert imported.left_out == (
            "rows in a form that is not known: 1",
            'system prompts after the first of a chat: 1 in "Name of it"',
            'attachments: 2, the first in "Name of it"',
            'prompt fragments: 1 in "Name of it"',
        )


class TestZip:
    def test_the_download_of_chatgpt(self) -> None:
        text = json.dumps([chatgpt(TURN)]).encode()
        members = {"chat.html": b"<html>", "user.json": b"{}", "conversations.json": text}
        assert read(zipped(members)) == read(text)
        assert read(zipped({"folder/conversations.json": text}, zipfile.ZIP_STORED)) == read(text)

    def test_a_large_download_is_in_several_files(self) -> None:
        texts = [json.dumps([chatgpt(TURN, title=str(n))]).encode() for n in range(3)]
        members = {f"conversations-00{n}.json": texts[n] for n in (2, 0, 1)} | {"conversations.json.index": b"x"}
        assert [chat.title for chat, _ in read(zipped(members)).chats] == ["0", "1", "2"]

    def test_a_zip_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "MAX_BYTES", 100_000)
        bomb = zipped({"conversations.json": b" " * 1_000_000})
        assert len(bomb) < 10_000
        with pytest.raises(ImportRefused, match="unpacked it has more than 100,000 bytes"):
            read(bomb)
        lying = bytearray(bomb)
        at = lying.rindex(b"PK\x01\x02")
        lying[at + 24 : at + 28] = (10).to_bytes(4, "little")
        with pytest.raises(ImportRefused):
            read(bytes(lying))

    def test_zips_that_cannot_be_read(self) -> None:
        good = zipped({"conversations.json": json.dumps([chatgpt(TURN)]).encode()})
        encrypted = bytearray(good)
        encrypted[6] |= 1
        encrypted[good.rindex(b"PK\x01\x02") + 8] |= 1
        for data, why in (
            (zipped({"other.json": b"[]"}), "there is no conversations.json in the zip"),
            (good[:-30], "the zip cannot be read"),
            (bytes(encrypted), "the zip cannot be read"),
            (zipped({"conversations.json": b"[]"}, zipfile.ZIP_LZMA), "packed in a way"),
            (good.replace(b"\xed", b"\x00"), "the zip cannot be read|not valid JSON"),
        ):
            with pytest.raises(ImportRefused, match=why):
                read(data)

    @given(st.integers(0, 10_000), st.integers(0, 255))
    @settings(max_examples=150, deadline=None)
    def test_a_changed_byte_never_breaks_out(self, position: int, byte: int) -> None:
        data = bytearray(zipped({"conversations.json": json.dumps([chatgpt(TURN)]).encode()}))
        data[position % len(data)] = byte
        try:
            read_export(bytes(data), "x")
        except ImportRefused:
            return


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not valid JSON"),
        (b"\x00\xff", "not valid JSON"),
        (b'[{"mapping": "\xff"}]', "there is no chat|not valid JSON"),
        (b'{"mapping": {', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON|nested too deeply"),
        (b'[{"mapping": ' + b'{"a":' * 100_000, "not valid JSON|nested too deeply"),
        (b"[]", "there is no chat in it"),
        (b"{}", "it is no JSON export of llmchat"),
        (b"[1]", "it is no JSON export of llmchat"),
        (b"3", "it is no JSON export of llmchat"),
        (b'"text"', "it is no JSON export of llmchat"),
        (b'[{"prompt": "x"}]', "it is no JSON export of llmchat"),
        (b'{"format": "other"}', "it is no JSON export of llmchat"),
        (b'{"format": "llmchat-chat"}', "damaged"),
        (b'[{"mapping": 1}]', "there is no chat in it; chats in a form that is not known: 1"),
        (b"# A Markdown file", "not valid JSON"),
    ],
)
def test_what_is_no_export(data: bytes, why: str) -> None:
    with pytest.raises(ImportRefused, match=why) as caught:
        read(data, "some file")
    assert caught.value.what == "cannot import some file"
    assert caught.value.hint
    assert len(str(caught.value)) < 400
    assert errors.exit_code(caught.value) == 9


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([chatgpt(TURN)]).encode()
    monkeypatch.setattr(reading, "MAX_BYTES", len(text))
    read(text)
    with pytest.raises(ImportRefused, match="more than"):
        read(text + b" ")


def test_a_byte_order_mark_and_blanks() -> None:
    text = json.dumps([chatgpt(TURN)]).encode()
    assert read(b"\xef\xbb\xbf" + text) == read(b"\n \t" + text) == read(text)


def test_a_million_kinds_are_a_few_sentences() -> None:
    parts = [{"content_type": f"kind {n}"} for n in range(500)]
    imported = read([chatgpt(TURN | {"q": node("root", "user", "Where?", *parts)})])
    assert len(imported.left_out) < 50
    assert imported.left_out[-1].startswith("other things: 460")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mapping", "a", "message", "parent", "author", "role", "content", "parts"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["format", "mapping", "prompt"]), JSON, JSON)
@settings(max_examples=200, deadline=None)
def test_any_json_is_read_or_refused(key: str, value: Any, other: Any) -> None:
    content = {key: value, "response": other, "format": "llmchat-chat" if key == "format" else 1, "messages": other}
    for data in (content, [content], [chatgpt(TURN), content, value], value):
        try:
            read(data)
        except ImportRefused:
            continue
