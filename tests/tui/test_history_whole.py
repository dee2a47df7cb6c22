"""Chats from elsewhere, a chat's own settings, and the end of a long path."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.tui.stored import add_turn

from llmchat_tui.errors import NotFound
from llmchat_tui.history import Conversation, History, Role, StoredMessage
from llmchat_tui.history.values import ReplyStatus

CHAT = Conversation("old", "Trip \udcff to Rome", "Be brief.", 5.0, 9.0, "r2", 4, {"top_k": 3, "stop": ["END"]})


def message(id_: str, parent: str, role: Role, status: ReplyStatus = "complete") -> StoredMessage:
    return StoredMessage(id_, "old", parent, role, f"text of {id_}", status, 6.0)


TREE = (
    message("q1", "", "user"),
    replace(message("r1", "q1", "assistant", "failed"), token_ids=(1, 2), model_key="k", error="why", stats={"n": 1}),
    message("r1b", "q1", "assistant", "streaming"),
    message("q2", "r1", "user"),
)


class TestAdd:
    def test_everything_comes_along_under_new_ids(self, history: History) -> None:
        chat_id = history.add(CHAT, TREE)

        chat = history.conversation(chat_id)
        messages = history.messages(chat_id)
        assert (chat.title, chat.system, chat.sampling) == ("Trip ? to Rome", "Be brief.", CHAT.sampling)
        assert (chat.created_at, chat.updated_at) == (5.0, 9.0)
        assert (chat.leaf_id, chat.message_count) == (messages[3].id, 4)
        assert [m.parent_id for m in messages] == ["", messages[0].id, messages[0].id, messages[1].id]
        assert {m.conversation_id for m in messages} == {chat_id}
        assert {m.id for m in messages}.isdisjoint(m.id for m in TREE)
        assert [m.status for m in messages] == ["complete", "failed", "interrupted", "complete"]
        new = messages[1]
        assert replace(new, id="r1", conversation_id="old", parent_id="q1") == TREE[1]
        assert len(history.search("text of")) == 4
        assert history.check() == []

    def test_the_same_chat_twice_is_two_chats(self, history: History) -> None:
        assert history.add(CHAT, TREE) != history.add(CHAT, TREE)
        assert len(history.conversations()) == 2

    def test_a_chat_from_elsewhere_goes_on(self, history: History) -> None:
        chat = history.conversation(history.add(CHAT, TREE[:2]))
        begun = history.begin("and now?", conversation_id=chat.id, parent_id=chat.leaf_id)
        assert len(history.path(begun.reply_id)) == 4

    @pytest.mark.parametrize(
        ("messages", "why"),
        [
            ((), "at least one"),
            ((TREE[1],), "does not come before"),
            ((TREE[0], message("q2", "q1", "user")), "wrong place"),
            ((TREE[0], TREE[1], message("r2", "r1", "assistant")), "wrong place"),
            ((message("r1", "", "assistant"),), "wrong place"),
            ((TREE[0], message("q1", "", "user")), "two messages have the id 'q1'"),
            ((message("", "", "user"),), "it is empty"),
            ((TREE[0], TREE[3], TREE[1]), "does not come before"),
            ((message("q1", "q1", "user"),), "does not come before"),
        ],
    )
    def test_what_is_no_tree_is_refused_whole(
        self, history: History, messages: tuple[StoredMessage, ...], why: str
    ) -> None:
        with pytest.raises(ValueError, match=why):
            history.add(CHAT, messages)
        assert history.conversations() == []


class TestConfigure:
    def test_a_new_chat_has_what_it_was_begun_with(self, history: History) -> None:
        begun = history.begin("q", system="s", sampling={"temperature": 0.5, "stop": ("x",)})
        chat = history.conversation(begun.conversation_id)
        assert (chat.system, chat.sampling) == ("s", {"temperature": 0.5, "stop": ["x"]})
        assert history.conversation(history.begin("other").conversation_id).sampling == {}

    def test_what_is_given_is_set_and_the_rest_stays(self, history: History) -> None:
        chat = add_turn(history, "q", "a")
        before = history.conversation(chat)

        history.configure(chat, system="Be \udcff brief.")
        history.configure(chat, sampling={"seed": 7})
        history.configure(chat)

        assert history.conversation(chat) == replace(before, system="Be ? brief.", sampling={"seed": 7})
        history.configure(chat, system="", sampling={})
        assert history.conversation(chat) == before

    def test_it_is_in_every_way_to_a_chat(self, history: History) -> None:
        chat = add_turn(history, "q", "words")
        history.configure(chat, sampling={"seed": 7})
        found = [*history.conversations(), history.latest(), history.search("words")[0].conversation]
        found += history.titled("q")
        assert [one.sampling for one in found if one] == [{"seed": 7}] * 4

    def test_a_chat_that_is_not_there(self, history: History) -> None:
        with pytest.raises(NotFound, match="no chat"):
            history.configure("nothing", system="x")


class TestTail:
    def test_the_end_of_a_path(self, history: History) -> None:
        chat = ""
        for number in range(6):
            chat = add_turn(history, f"q{number}", f"a{number}", chat)
        leaf = history.conversation(chat).leaf_id
        path = history.path(leaf)
        for limit in (1, 2, 5, 12, 1_000):
            assert history.tail(leaf, limit) == path[-limit:]
        assert history.tail(path[3].id, 2) == path[2:4]
        assert history.tail(leaf, 0) == history.tail(leaf, -5) == path[-1:]

    def test_of_nothing(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.tail("nothing", 5)

    def test_a_long_chat_costs_no_more_than_a_short_one(self, history: History) -> None:
        messages = [
            StoredMessage(f"m{n}", "", f"m{n - 1}" if n else "", ("user", "assistant")[n % 2], "x", "complete", 1.0)
            for n in range(2_000)
        ]
        leaf = history.conversation(history.add(replace(CHAT, title="long"), messages)).leaf_id
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        history._db.set_progress_handler(count, 100)
        assert len(history.tail(leaf, 30)) == 30
        bounded, steps = steps, 0
        assert len(history.path(leaf)) == 2_000
        history._db.set_progress_handler(None, 0)
        assert bounded * 20 < steps
