"""The branches of a tree: siblings, leaves, the chosen one, the tree without texts, replies that have a beginning."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from llmchat_tui.errors import NotFound
from llmchat_tui.history import Begun, History, Node, ReplyEnd, StoredMessage


@pytest.fixture
def history() -> Iterator[History]:
    with History.in_memory() as memory:
        yield memory


@dataclass(frozen=True)
class Tree:
    """q1 has the replies r1 and r1b; under r1 stand q2 and q2b, each with a reply; p1 is another first question."""

    chat: str
    q1: str
    r1: str
    r1b: str
    q2: str
    r2: str
    q2b: str
    r2b: str
    p1: str
    pr1: str


@pytest.fixture
def tree(history: History) -> Tree:
    history.begin("of another chat")
    first = history.begin("q1")
    chat = first.conversation_id
    second = history.begin("q2", conversation_id=chat, parent_id=first.reply_id)
    again = history.begin_reply(first.question_id)
    edited = history.begin("q2b", conversation_id=chat, parent_id=first.reply_id)
    other = history.begin("p1", conversation_id=chat)
    return Tree(
        chat, first.question_id, first.reply_id, again.reply_id, second.question_id, second.reply_id,
        edited.question_id, edited.reply_id, other.question_id, other.reply_id,
    )  # fmt: skip


def finish(history: History, begun: Begun, end: ReplyEnd) -> None:
    history.finish(begun.reply_id, end)


class TestSiblings:
    def test_follow_the_same_message(self, history: History, tree: Tree) -> None:
        assert history.siblings(tree.r1) == history.siblings(tree.r1b) == [tree.r1, tree.r1b]
        assert history.siblings(tree.q2b) == [tree.q2, tree.q2b]
        assert history.siblings(tree.r2) == [tree.r2]

    def test_of_a_first_question_are_of_its_chat(self, history: History, tree: Tree) -> None:
        assert history.siblings(tree.q1) == history.siblings(tree.p1) == [tree.q1, tree.p1]

    def test_of_no_message(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.siblings("nothing")


class TestLeafUnder:
    def test_is_the_newest_below(self, history: History, tree: Tree) -> None:
        assert history.leaf_under(tree.q1) == history.leaf_under(tree.r1) == tree.r2b
        assert history.leaf_under(tree.q2) == tree.r2
        assert history.leaf_under(tree.p1) == tree.pr1

    def test_is_itself_where_nothing_follows(self, history: History, tree: Tree) -> None:
        assert history.leaf_under(tree.r1b) == tree.r1b

    def test_the_newest_may_be_under_an_older_child(self, history: History, tree: Tree) -> None:
        newest = history.begin("q3", conversation_id=tree.chat, parent_id=tree.r2)
        assert history.leaf_under(tree.q1) == newest.reply_id

    def test_of_no_message(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.leaf_under("nothing")

    def test_of_a_long_chat(self, history: History) -> None:
        leaf = chat = ""
        first = ""
        for index in range(1000):
            begun = history.begin(f"q{index}", conversation_id=chat, parent_id=leaf)
            chat, leaf, first = begun.conversation_id, begun.reply_id, first or begun.question_id
        started = time.perf_counter()
        assert history.leaf_under(first) == leaf
        assert time.perf_counter() - started < 0.5


class TestChoose:
    def test_the_newest_is_the_leaf_where_nothing_was_chosen(self, history: History, tree: Tree) -> None:
        assert history.conversation(tree.chat).leaf_id == tree.pr1

    def test_the_chosen_one_stays_the_leaf(self, tmp_path: Path) -> None:
        path = tmp_path / "chats.db"
        with History.open(path) as history:
            first = history.begin("q1")
            history.begin_reply(first.question_id)
            before = history.conversation(first.conversation_id)
            history.choose(first.conversation_id, first.reply_id)
        with History.open(path) as history:
            chat = history.conversation(first.conversation_id)
            assert chat == history.latest() == replace(before, leaf_id=first.reply_id)
            assert history.check() == []

    def test_the_next_message_takes_it_back(self, history: History, tree: Tree) -> None:
        history.choose(tree.chat, tree.r2)
        third = history.begin("q3", conversation_id=tree.chat, parent_id=tree.r2)
        assert history.conversation(tree.chat).leaf_id == third.reply_id
        history.choose(tree.chat, tree.r1)
        again = history.begin_reply(tree.q1)
        assert history.conversation(tree.chat).leaf_id == again.reply_id

    def test_a_message_of_another_chat_changes_nothing(self, history: History, tree: Tree) -> None:
        history.choose(tree.chat, tree.r2)
        other = history.begin("elsewhere")
        assert history.conversation(tree.chat).leaf_id == tree.r2
        with pytest.raises(NotFound):
            history.choose(tree.chat, other.reply_id)
        with pytest.raises(NotFound):
            history.choose("nothing", tree.r2)
        assert history.conversation(tree.chat).leaf_id == tree.r2

    def test_an_imported_chat_begins_at_its_newest(self, history: History, tree: Tree) -> None:
        history.choose(tree.chat, tree.r1b)
        copy = history.add(history.conversation(tree.chat), history.messages(tree.chat))
        assert history.conversation(copy).leaf_id == history.messages(copy)[-1].id

    def test_a_chosen_chat_can_be_deleted(self, history: History, tree: Tree) -> None:
        history.choose(tree.chat, tree.r1)
        history.delete(tree.chat)
        assert history.check() == []


class TestNodes:
    def test_are_the_tree_without_its_texts(self, history: History, tree: Tree) -> None:
        nodes = history.nodes(tree.chat)
        messages = history.messages(tree.chat)
        assert [(node.id, node.parent_id, node.role, node.created_at, node.status) for node in nodes] == [
            (message.id, message.parent_id, message.role, message.created_at, message.status) for message in messages
        ]
        assert [node.line for node in nodes if node.role == "user"] == ["q1", "q2", "q2b", "p1"]

    def test_say_how_it_begins_how_long_it_is_and_what_it_did_not_see(self, history: History) -> None:
        begun = history.begin("  \n\n\t" + " " * 500 + "Where is it?  \nTell me.")
        finish(history, begun, ReplyEnd("In P" + "a" * 100, "complete", (1, 2, 3), settings={"left_out": 4}))
        question, reply = history.nodes(begun.conversation_id)
        assert (question.line, question.tokens, question.left_out) == ("Where is it?", 0, 0)
        assert (reply.line, reply.tokens, reply.left_out) == ("In P" + "a" * 76, 3, 4)

    def test_of_an_empty_reply_have_no_line(self, history: History) -> None:
        begun = history.begin("q")
        assert [type(node) for node in history.nodes(begun.conversation_id)] == [Node, Node]
        assert history.nodes(begun.conversation_id)[1].line == ""

    def test_of_no_chat(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.nodes("nothing")


@pytest.mark.parametrize(
    ("settings", "left_out", "summary"),
    [
        ({}, 0, ""),
        ({"left_out": 2, "summary": "Towers."}, 2, "Towers."),
        ({"left_out": -2, "summary": 7}, 0, ""),
        ({"left_out": "many", "summary": None}, 0, ""),
    ],
)
def test_settings_from_a_file_may_say_anything(settings: dict[str, object], left_out: int, summary: str) -> None:
    reply = StoredMessage("r", "c", "q", "assistant", "", "complete", 0.0, settings=settings)
    assert (reply.left_out, reply.summary) == (left_out, summary)


class TestABeginning:
    def test_of_a_first_reply_is_there_from_the_start(self, history: History) -> None:
        begun = history.begin("q", reply_text="In \udcff")
        assert history.path(begun.reply_id)[-1].text == "In ?"
        assert history.path(begun.reply_id)[-1].status == "streaming"

    def test_of_one_more_reply_is_there_from_the_start(self, tmp_path: Path) -> None:
        path = tmp_path / "chats.db"
        with History.open(path) as history:
            first = history.begin("q")
            second = history.begin_reply(first.question_id, text="In Paris")
            with History.open(path) as other:
                assert [m.text for m in other.messages(first.conversation_id)] == ["q", "", "In Paris"]
            assert history.search("paris") == []
            finish(history, second, ReplyEnd("In Paris.", "complete"))
            assert [hit.message_id for hit in history.search("paris")] == [second.reply_id]
            assert history.check() == []


def test_begun_says_when_the_chat_began(history: History) -> None:
    before = time.time()
    first = history.begin("q1")
    assert before <= first.created_at <= time.time()
    second = history.begin("q2", conversation_id=first.conversation_id, parent_id=first.reply_id)
    again = history.begin_reply(second.question_id)
    assert first.created_at == second.created_at == again.created_at
    assert first.created_at == history.conversation(first.conversation_id).created_at
