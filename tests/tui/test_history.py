"""The message tree through the door of `History`: one process, no faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmchat_tui.errors import NotFound
from llmchat_tui.history import Begun, History, ReplyEnd


@pytest.fixture
def history() -> Iterator[History]:
    with History.in_memory() as memory:
        yield memory


def answer(history: History, begun: Begun, text: str = "An answer.") -> None:
    history.finish(begun.reply_id, ReplyEnd(text, "complete"))


class TestTurn:
    def test_a_turn_comes_back_as_it_was_written(self, history: History) -> None:
        begun = history.begin("Where is it?\nTell me.", system="Be brief.")
        end = ReplyEnd("In Paris.", "stopped", (1, 32_000, 2), "abc", {"seed": 7}, {"tps": 1.5}, "why")
        history.finish(begun.reply_id, end)

        question, reply = history.path(begun.reply_id)

        assert (question.id, question.text, question.role) == (begun.question_id, "Where is it?\nTell me.", "user")
        assert (question.parent_id, question.status) == ("", "complete")
        assert (reply.id, reply.parent_id, reply.role) == (begun.reply_id, begun.question_id, "assistant")
        assert (reply.text, reply.status, reply.token_ids) == ("In Paris.", "stopped", (1, 32_000, 2))
        assert (reply.model_key, reply.settings, reply.stats, reply.error) == ("abc", {"seed": 7}, {"tps": 1.5}, "why")
        chat = history.conversation(begun.conversation_id)
        assert (chat.title, chat.system, chat.leaf_id, chat.message_count) == (
            "Where is it?",
            "Be brief.",
            begun.reply_id,
            2,
        )

    def test_a_streaming_reply_grows_by_checkpoints(self, history: History) -> None:
        begun = history.begin("q")
        assert history.path(begun.reply_id)[-1].status == "streaming"

        history.checkpoint(begun.reply_id, "half")

        assert history.path(begun.reply_id)[-1].text == "half"

    def test_a_late_checkpoint_changes_nothing(self, history: History) -> None:
        begun = history.begin("q")
        answer(history, begun, "whole")

        history.checkpoint(begun.reply_id, "half")

        assert history.path(begun.reply_id)[-1].text == "whole"

    def test_a_reply_ends_once(self, history: History) -> None:
        begun = history.begin("q")
        answer(history, begun, "first")

        with pytest.raises(ValueError, match="ended already"):
            answer(history, begun, "second")
        assert history.path(begun.reply_id)[-1].text == "first"

    def test_a_reply_does_not_end_streaming(self, history: History) -> None:
        begun = history.begin("q")
        with pytest.raises(ValueError, match="streaming"):
            history.finish(begun.reply_id, ReplyEnd("x", "streaming"))

    def test_a_question_does_not_end(self, history: History) -> None:
        begun = history.begin("q")
        with pytest.raises(ValueError, match="ended already"):
            history.finish(begun.question_id, ReplyEnd("x", "complete"))

    def test_finish_wins_over_interrupted(self, history: History) -> None:
        begun = history.begin("q")
        history.finish(begun.reply_id, ReplyEnd("part", "interrupted"))

        answer(history, begun, "all of it")

        assert history.path(begun.reply_id)[-1].text == "all of it"
        assert [hit.message_id for hit in history.search("all")] == [begun.reply_id]
        assert history.search("part") == []


class TestTree:
    def test_regenerate_and_edit_make_siblings(self, history: History) -> None:
        first = history.begin("q1")
        answer(history, first)
        second = history.begin("q2", conversation_id=first.conversation_id, parent_id=first.reply_id)
        answer(history, second)
        again = history.begin_reply(second.question_id)
        answer(history, again)
        edited = history.begin("q2, better", conversation_id=first.conversation_id, parent_id=first.reply_id)
        other_root = history.begin("q1, better", conversation_id=first.conversation_id)

        ids = [message.id for message in history.path(again.reply_id)]
        assert ids == [first.question_id, first.reply_id, second.question_id, again.reply_id]
        assert again.question_id == second.question_id
        assert again.conversation_id == first.conversation_id
        assert [m.id for m in history.path(edited.reply_id)][1:] == [
            first.reply_id,
            edited.question_id,
            edited.reply_id,
        ]
        assert len(history.path(other_root.reply_id)) == 2
        everything = history.messages(first.conversation_id)
        assert [m.id for m in everything][:5] == [*ids[:3], second.reply_id, again.reply_id]
        assert len(everything) == history.conversation(first.conversation_id).message_count == 9

    def test_a_long_path(self, history: History) -> None:
        leaf = chat = ""
        for index in range(300):
            begun = history.begin(f"q{index}", conversation_id=chat, parent_id=leaf)
            chat, leaf = begun.conversation_id, begun.reply_id
        assert [m.text for m in history.path(leaf)[::2]] == [f"q{index}" for index in range(300)]

    def test_a_question_follows_a_reply_of_its_own_chat(self, history: History) -> None:
        one, two = history.begin("one"), history.begin("two")
        for parent in (two.reply_id, one.question_id, "nothing"):
            with pytest.raises(NotFound, match="no reply"):
                history.begin("q", conversation_id=one.conversation_id, parent_id=parent)
        with pytest.raises(NotFound, match="no reply"):
            history.begin("a new chat", parent_id=one.reply_id)
        assert len(history.messages(one.conversation_id)) == 2
        assert len(history.conversations()) == 2

    def test_a_reply_follows_a_question(self, history: History) -> None:
        begun = history.begin("q")
        for question in (begun.reply_id, "nothing"):
            with pytest.raises(NotFound, match="no question"):
                history.begin_reply(question)

    def test_what_is_not_there_is_not_found(self, history: History) -> None:
        with pytest.raises(NotFound):
            history.path("x")
        with pytest.raises(NotFound):
            history.messages("x")
        with pytest.raises(NotFound):
            history.begin("q", conversation_id="x")
        with pytest.raises(NotFound):
            history.finish("x", ReplyEnd("", "complete"))


class TestConversations:
    def test_newest_first_in_pages(self, history: History) -> None:
        begun = [history.begin(f"chat {index}") for index in range(5)]
        answer(history, begun[1])

        titles = [chat.title for chat in history.conversations(limit=3)]
        rest = [chat.title for chat in history.conversations(limit=3, offset=3)]

        assert titles + rest == ["chat 1", "chat 4", "chat 3", "chat 2", "chat 0"]
        latest = history.latest()
        assert latest is not None
        assert latest.title == "chat 1"

    def test_no_conversation_yet(self, history: History) -> None:
        assert history.latest() is None
        assert history.conversations() == []

    @pytest.mark.parametrize(
        ("question", "title"),
        [("\n  \n first \nsecond", "first"), ("x" * 200, "x" * 80), (" \n", "(no text)"), ("a\udcffb", "a?b")],
    )
    def test_the_title_is_the_first_line(self, history: History, question: str, title: str) -> None:
        assert history.conversation(history.begin(question).conversation_id).title == title

    def test_a_given_title_and_a_new_one(self, history: History) -> None:
        begun = history.begin("q", title="Given")
        assert history.conversation("Given").id == begun.conversation_id

        history.rename(begun.conversation_id, "Renamed\nmore")

        assert history.conversation("Renamed").id == begun.conversation_id
        with pytest.raises(NotFound):
            history.rename("x", "y")

    def test_by_id_prefix_and_title(self, history: History) -> None:
        begun = history.begin("The title")
        chat = history.conversation(begun.conversation_id)
        for ref in (chat.id, chat.id.lower(), chat.id[:4], chat.id[:12].lower(), "The title"):
            assert history.conversation(ref) == chat
        for ref in ("", chat.id[:3], "the title", "The", chat.id + "0", "%", "*", "\udcff", "\x00"):
            with pytest.raises(NotFound, match="no chat"):
                history.conversation(ref)

    def test_an_ambiguous_reference_names_the_candidates(self, history: History) -> None:
        chats = [history.begin("Same").conversation_id for _ in range(2)]
        for ref in ("Same", chats[0][:4]):
            with pytest.raises(NotFound, match="more than one") as caught:
                history.conversation(ref)
            assert all(f"{chat} Same" in caught.value.why for chat in chats)

    def test_delete_takes_everything_along(self, history: History) -> None:
        kept, gone = history.begin("kept words"), history.begin("gone words")
        answer(history, gone, "gone too")
        history.begin("third", conversation_id=gone.conversation_id, parent_id=gone.reply_id)

        history.delete(gone.conversation_id)

        assert [chat.id for chat in history.conversations()] == [kept.conversation_id]
        assert history.search("gone") == []
        assert [hit.message_id for hit in history.search("words")] == [kept.question_id]
        assert history.check() == []
        with pytest.raises(NotFound):
            history.delete(gone.conversation_id)
        with pytest.raises(NotFound, match="no reply"):
            history.finish(gone.reply_id, ReplyEnd("late", "complete"))
