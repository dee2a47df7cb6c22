"""ChatGPT's conversations, and how any tree of messages becomes one of ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tui.exports import TURN, Short, chatgpt, node, read, short

from llmchat_tui.errors import ImportRefused


class TestChatGPT:
    def test_a_chat(self) -> None:
        mapping = {
            "root": node(None),
            "sys": node("root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
            "q": node("sys", "user", "Where?", create_time=10.5),
            "r": node("q", "assistant", "There.", create_time=11.5, metadata={"model_slug": "gpt-4o"}),
        }
        imported = read([chatgpt(mapping)])
        ((conversation, messages),) = imported.chats
        assert (conversation.title, conversation.created_at, conversation.updated_at) == ("Rome", 10.5, 50.0)
        assert short(messages) == [("user", "Where?", ""), ("assistant", "There.", "Where?")]
        assert [(m.created_at, m.status, m.settings) for m in messages] == [
            (10.5, "complete", {}),
            (11.5, "complete", {"model": "gpt-4o"}),
        ]
        assert imported.left_out == ()

    def test_branches_are_kept_and_the_current_one_is_the_newest(self) -> None:
        mapping = TURN | {
            "q2": node("r", "user", "second"),
            "r2": node("q2", "assistant", "two"),
            "q2b": node("r", "user", "second, edited"),
            "r2b": node("q2b", "assistant", "two b"),
            "again": node("q", "assistant", "There, again."),
        }
        ((_, messages),) = read([chatgpt(mapping, current_node="r2")]).chats
        assert short(messages) == [
            ("user", "Where?", ""),
            ("assistant", "There, again.", "Where?"),
            ("assistant", "There.", "Where?"),
            ("user", "second, edited", "There."),
            ("assistant", "two b", "second, edited"),
            ("user", "second", "There."),
            ("assistant", "two", "second"),
        ]
        ((_, messages),) = read([chatgpt(mapping)]).chats
        assert messages[-1].text == "There, again."

    def test_tools_and_hidden_messages_hand_on_their_children(self) -> None:
        mapping = TURN | {
            "call": node("q", "assistant", "search()", recipient="browser"),
            "result": node("call", "tool", "page"),
            "hidden": node("result", "user", "secret", metadata={"is_visually_hidden_from_conversation": True}),
            "answer": node("hidden", "assistant", "Found."),
            "empty": node("answer", "assistant", ""),
            "thanks": node("empty", "user", "Thanks"),
            "welcome": node("thanks", "assistant", "Welcome", recipient="all"),
        }
        imported = read([chatgpt(mapping)])
        assert short(imported.chats[0][1])[2:] == [
            ("assistant", "Found.", "Where?"),
            ("user", "Thanks", "Found."),
            ("assistant", "Welcome", "Thanks"),
        ]
        assert imported.left_out == ('messages to and from tools: 2, the first in "Rome"',)

    def test_what_is_no_text_is_named(self) -> None:
        picture = {"content_type": "image_asset_pointer", "asset_pointer": "file://x"}
        spoken = {"content_type": "audio_transcription", "text": "What is this?"}
        mapping = {
            "q": node(None, "user", picture, spoken, None, "Look."),
            "thought": node("q", "assistant"),
            "code": node("thought", "assistant"),
            "only": node("code", "user", picture),
        }
        mapping["thought"]["message"]["content"] = {"content_type": "thoughts", "thoughts": []}
        mapping["code"]["message"]["content"] = {"content_type": "code", "text": "print(1)"}
        imported = read([chatgpt(mapping)])
        assert short(imported.chats[0][1]) == [
            ("user", "What is this?\nLook.", ""),
            ("assistant", "print(1)", "What is this?\nLook."),
        ]
        assert imported.left_out == (
            'parts of type image_asset_pointer: 2, the first in "Rome"',
            'content of type thoughts: 1 in "Rome"',
        )

    def test_a_chat_or_message_in_another_form_does_not_cost_the_others(self) -> None:
        odd = TURN | {"odd": node("r", "user", "x", create_time="now"), "r2": node("odd", "assistant", "more")}
        imported = read([chatgpt(odd), {"mapping": [1]}, {"mapping": {}}, 3, chatgpt(TURN, title=None)])
        assert [short(messages)[-1][1] for _, messages in imported.chats] == ["There.\n\nmore", "There."]
        assert imported.chats[1][0].title == "Where?"
        assert imported.left_out == (
            'messages in a form that is not known: 1 in "Rome"',
            'messages of one side in a row, joined: 1 in "Rome"',
            "chats in a form that is not known: 2",
            "chats without any text: 1",
        )

    def test_an_interrupted_reply_says_so(self) -> None:
        mapping = TURN | {"r": node("q", "assistant", "The", status="in_progress")}
        assert read([chatgpt(mapping)]).chats[0][1][1].status == "interrupted"

    def test_circles_and_lost_parents_end(self) -> None:
        mapping = TURN | {
            "a": node("b", "user", "circle"),
            "b": node("a", "assistant", "circle"),
            "self": node("self", "user", "circle"),
            "lost": node("nobody", "user", "I have no parent"),
        }
        ((_, messages),) = read([chatgpt(mapping, current_node="a")]).chats
        assert [m.text for m in messages if m.role == "user"] == ["Where?", "I have no parent"]

    def test_a_very_long_chat(self) -> None:
        mapping: dict[str, Any] = {"0": node(None)}
        for n in range(1, 5_001):
            mapping[str(n)] = node(str(n - 1), "user" if n % 2 else "assistant", f"m{n}")
        ((_, messages),) = read([chatgpt(mapping, current_node="5000")]).chats
        assert [m.text for m in messages] == [f"m{n}" for n in range(1, 5_001)]

    def test_a_single_chat(self) -> None:
        assert len(read(chatgpt(TURN)).chats) == 1


class TestRepair:
    def read_chain(self, *roles: str) -> tuple[Short, tuple[str, ...]]:
        mapping = {
            str(n): node(str(n - 1) if n else None, role, f"{role[0]}{n}", create_time=1.0 + n)
            for n, role in enumerate(roles)
        }
        imported = read([chatgpt(mapping)])
        return short(imported.chats[0][1]), tuple(line.partition(":")[0] for line in imported.left_out)

    def test_messages_in_a_row_are_joined(self) -> None:
        messages, left_out = self.read_chain("user", "user", "assistant", "assistant", "assistant", "user", "assistant")
        assert messages == [
            ("user", "u0\n\nu1", ""),
            ("assistant", "a2\n\na3\n\na4", "u0\n\nu1"),
            ("user", "u5", "a2\n\na3\n\na4"),
            ("assistant", "a6", "u5"),
        ]
        assert left_out == ("messages of one side in a row, joined",)

    def test_an_answer_at_the_beginning_gets_a_question(self) -> None:
        messages, left_out = self.read_chain("assistant", "user", "assistant")
        assert messages[:2] == [("user", "(no question)", ""), ("assistant", "a0", "(no question)")]
        assert left_out == ("answers without a question, put under '(no question)'",)

    def test_a_question_at_the_end_gets_a_reply_to_go_on_behind(self) -> None:
        messages, left_out = self.read_chain("user", "assistant", "user")
        assert messages[2:] == [("user", "u2", "a1"), ("assistant", "", "u2")]
        assert left_out == ("questions without an answer, marked as interrupted",)

    def test_branches_of_one_side_are_not_joined(self) -> None:
        mapping = TURN | {
            "r2": node("r", "assistant", "More."),
            "q2": node("r", "user", "Next"),
            "q3": node("q2", "user", "Now"),
            "q4": node("q2", "user", "Or now"),
        }
        ((_, messages),) = read([chatgpt(mapping, current_node="r2")]).chats
        assert sorted(short(messages)) == sorted(
            [
                ("user", "Where?", ""),
                ("assistant", "There.", "Where?"),
                ("user", "Next", "There."),
                ("assistant", "", "Next"),
                ("user", "Now", ""),
                ("assistant", "", "Now"),
                ("assistant", "", "Next"),
                ("user", "Or now", ""),
                ("assistant", "", "Or now"),
                ("user", "(no question)", "There."),
                ("assistant", "More.", "(no question)"),
            ]
        )
        assert messages[-1].text == "More."
        assert {m.status for m in messages if not m.text} == {"interrupted"}

    @given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", ""]), st.integers(-1, 12)), max_size=12))
    @settings(max_examples=150, deadline=None)
    def test_any_tree_becomes_one_of_ours_and_loses_nothing(self, nodes: list[tuple[str, int]]) -> None:
        mapping = {
            str(n): node(str(parent % n) if n and parent >= 0 else None, role, f"<{n}>")
            for n, (role, parent) in enumerate(nodes)
        }
        said = [f"<{n}>" for n, (role, _) in enumerate(nodes) if role in ("user", "assistant")]
        if not said:
            with pytest.raises(ImportRefused, match="there is no chat in it"):
                read([chatgpt(mapping)])
            return
        ((_, messages),) = read([chatgpt(mapping, current_node=str(len(nodes) - 1))]).chats
        text = "".join(message.text for message in messages)
        assert sorted(
            f"<{part}>" for part in text.replace("(no question)", "").replace("\n", "")[1:-1].split("><")
        ) == sorted(said)
        answered = {message.parent_id for message in messages}
        assert all(message.id in answered for message in messages if message.role == "user")
