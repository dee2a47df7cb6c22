"""The branches of a chat: other versions of a message, replies that go on, questions that follow an earlier reply."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import command, engine_of, refused
from tests.tui.screen.long_chats import CHAT, focused, id_of, long_chat, rest, roomy
from textual.events import Key

from llmchat_engine.testing import Script
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.messages import OpenChat
from llmchat_tui.talks import Talks

LONG = " ".join(f"word{number}" for number in range(400))


async def again(run: Chatting) -> None:
    """Has the last question answered once more."""
    count = len(run.replies())
    run.transcript.focus_last()
    await run.press("r")
    await run.until(lambda: len(run.replies()) > count and not run.chat.talk.running, "another reply")
    await run.settle()


def shown(run: Chatting) -> list[str]:
    """Returns the texts of the messages that are mounted."""
    return [view.text for view in run.transcript.views]


def path(run: Chatting) -> list[str]:
    """Returns the texts of the branch that the next question follows."""
    leaf = run.chat.talk.leaf_id
    return [message.text for message in run.history.path(leaf)] if leaf else []


def test_versions_are_counted_and_walked_through(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.") as run:
            await run.say("first")
            assert "‹" not in run.text()
            await again(run)
            assert "‹ 2/2 ›" in run.text()
            await again(run)
            assert "‹ 3/3 ›" in run.text()
            run.transcript.focus_last()
            for key, place, text in (
                ("left", "2/3", "Two."),
                ("left", "1/3", "One."),
                ("left", "1/3", "One."),
                ("right", "2/3", "Two."),
                ("right", "3/3", "Three."),
                ("right", "3/3", "Three."),
            ):
                await run.press(key)
                await run.until(lambda: f"‹ {place} ›" in run.text() and shown(run) == ["first", text], place)  # noqa: B023
                assert run.app.focused is run.transcript.views[-1]
                assert path(run) == ["first", text]

    play(scene)


def test_keys_that_come_faster_than_versions_are_shown_all_count(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.", "Four.") as run:
            await run.say("first")
            for _ in range(3):
                await again(run)
            run.transcript.focus_last()
            await run.settle()
            for key, text in (("left", "One."), ("right", "Four.")):
                for _ in range(3):
                    run.app.post_message(Key(key, None))
                await run.until(lambda: shown(run) == ["first", text], text)  # noqa: B023
                await run.settle()
                assert run.app.focused is run.transcript.views[-1]

    play(scene)


def test_the_version_that_was_chosen_is_followed_and_found_again(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.") as run:
            await run.say("first")
            await again(run)
            chat = run.chat.talk.conversation_id
            run.transcript.focus_last()
            await run.press("left")
            await run.until(lambda: shown(run) == ["first", "One."], "the first version")
            await run.chat.show_new()
            run.chat.post_message(OpenChat(chat))
            await run.until(lambda: run.chat.talk.conversation_id == chat, "the chat")
            await run.settle()
            assert shown(run) == ["first", "One."]
            await run.say("second")
            assert [message.text for message in engine_of(run).requests[-1].messages] == ["first", "One.", "second"]
            assert run.notices() == ""

    play(scene)


def test_another_question_brings_its_whole_branch(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.", "Four.") as run:
            await run.say("first")
            await run.say("second")
            run.transcript.focus_last()
            await run.press("k", "e")
            await run.until(lambda: run.draft == "second", "the question")
            await run.say("other")
            await run.say("third")
            assert shown(run) == ["first", "One.", "other", "Three.", "third", "Four."]
            assert "‹ 2/2 ›" in run.text()
            run.transcript.view_of(run.stored()[4].id).focus()  # type: ignore[union-attr]
            await run.press("left")
            await run.until(lambda: shown(run) == ["first", "One.", "second", "Two."], "the old branch")
            await run.press("right")
            await run.until(lambda: shown(run) == ["first", "One.", "other", "Three.", "third", "Four."], "the new one")

    play(scene)


def test_the_eye_stays_where_it_is(home: Path) -> None:
    """What stands above a message does not move when another version of it is shown, if that is long enough."""
    long_chat(home, 60, lines=20)
    with History.open(home / "chats.db") as history:
        for text in (f"second {LONG}", f"third {LONG}", "short"):
            history.finish(history.begin_reply(id_of(40)).reply_id, ReplyEnd(text, "complete"))
        history.choose(CHAT, id_of(59))

    async def scene() -> None:
        async with chatting(home, engine=roomy("never")) as run:
            run.chat.post_message(OpenChat(CHAT, id_of(41)))
            await run.until(lambda: focused(run) == 41, "the message")
            await rest(run)
            assert run.app.focused is not None
            top = run.app.focused.region.y
            for key, text in (("right", "second"), ("right", "third"), ("left", "second"), ("left", "message 41")):
                await run.press(key)
                await run.until(lambda: path(run)[41].startswith(text), text)  # noqa: B023
                await rest(run)
                view = run.app.focused
                assert view is not None and view.region.y == top, text
            assert len(run.transcript._path) == 60
            await run.press("right", "right", "right")
            await run.until(lambda: path(run)[-1] == "short", "the last one")
            await rest(run)
            assert "short" in run.text() and "‹ 4/4 ›" in run.text()

    play(scene)


def test_a_single_version_and_a_running_reply_say_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", LONG, speed=100) as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("left")
            await run.until(lambda: "only version" in run.notices(), "the word")
            await run.press("escape")
            await run.send("second")
            await run.until(lambda: "word1" in run.text(), "some words")
            run.transcript.views[1].focus()
            for key in ("left", "right", "c", "b", "r", "e"):
                before = len(run.messages)
                await run.press(key)
                await run.until(lambda: len(run.messages) > before, key)  # noqa: B023
            await run.until(lambda: "a reply is being written" in run.notices(), "the word")
            assert len(run.stored()) == 4 and not run.chat.editing
            await run.press("escape", "escape")
            await run.until(lambda: not run.chat.talk.running, "the end")

    play(scene)


def test_a_stopped_reply_goes_on_where_it_ended(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, LONG, " and on.", speed=300) as run:
            await run.send("go")
            await run.until(lambda: "word3" in run.text(), "some words")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert "c continue" in run.text()
            (stopped,) = run.replies()
            run.transcript.focus_last()
            await run.press("c")
            await run.until(lambda: len(run.replies()) == 2, "the rest")
            await run.settle()
            last = engine_of(run).requests[-1].messages[-1]
            assert (last.role, last.text) == ("assistant", stopped.text)
            new = run.replies()[1]
            assert new.text == f"{stopped.text} and on." and new.parent_id == stopped.parent_id
            assert shown(run) == ["go", new.text] and "‹ 2/2 ›" in run.text()
            assert "and on." in " ".join(run.text().split())  # where the lines break, the clock decides
            await run.press("up", "left")
            await run.until(lambda: shown(run) == ["go", stopped.text], "the old one")

    play(scene)


def test_continue_as_a_command(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One", " two.") as run:
            await refused(run, "/continue", "no reply yet")
            await run.write("")
            await run.say("first")
            await command(run, "/continue")
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "the rest")
            assert path(run) == ["first", "One two."]

    play(scene)


def test_a_reply_that_grows_has_its_old_text_at_once(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Begun", Script(" and never ended", hang_after=0)) as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("c")
            await run.until(lambda: run.chat.talk.running is not None, "the reply")
            await run.until(lambda: len(engine_of(run).requests) >= 2, "the request")
            await run.until(lambda: run.text().count("Begun") == 1, "its beginning")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert [reply.text for reply in run.replies()] == ["Begun", "Begun"]

    play(scene)


def test_a_reply_without_text_is_answered_again(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        begun = history.begin("hello")
        history.finish(begun.reply_id, ReplyEnd("", "stopped"))

    async def scene() -> None:
        async with chatting(home, "Fine.", start=begun.conversation_id) as run:
            run.transcript.focus_last()
            await run.press("c")
            await run.until(lambda: len(run.replies()) == 2, "an answer")
            assert [message.role for message in engine_of(run).requests[-1].messages] == ["user"]

    play(scene)


@pytest.mark.parametrize("text", ["Rome was", "/help is what one types"])
def test_an_edited_reply_is_gone_on_from(home: Path, text: str) -> None:
    """Also where it looks like a command: what stands in the prompt is a reply."""

    async def scene() -> None:
        async with chatting(home, "One.", " built.", "Three.") as run:
            await run.say("first")
            await run.write("a draft")
            run.transcript.focus_last()
            await run.press("e")
            await run.until(lambda: run.draft == "One.", "the reply")
            assert "Enter continues from this text" in run.notices()
            await run.write(text)
            await run.press("enter")
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "the reply")
            await run.settle()
            assert path(run) == ["first", f"{text} built."] and shown(run) == path(run)
            assert run.draft == "a draft"
            await run.press("up", "left")
            await run.until(lambda: shown(run) == ["first", "One."], "the old one")

    play(scene)


def test_escape_leaves_a_reply_as_it_is(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("e")
            await run.until(lambda: run.draft == "One.", "the reply")
            await run.press("escape")
            await run.until(lambda: run.draft == "" and not run.chat.editing, "the draft as it was")
            await run.say("second")
            assert path(run) == ["first", "One.", "second", "Two."]

    play(scene)


def test_what_was_made_of_a_reply_comes_back_where_it_cannot_be_recorded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageUnwritable("cannot write chats.db", "the disk is full", "make room")

    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("e")
            await run.until(lambda: run.draft == "One.", "the reply")
            monkeypatch.setattr(run.history, "begin_reply", refuse)
            await run.write("precious words")
            await run.press("enter")
            await run.until(lambda: "the disk is full" in run.notices(), "the reason")
            await run.until(lambda: run.draft == "precious words" and run.chat.editing is not None, "the words")
            monkeypatch.undo()
            await run.press("enter")
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "the reply")
            assert path(run) == ["first", "precious wordsTwo."]

    play(scene)


def test_a_branch_follows_an_earlier_reply(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.", size=(100, 24)) as run:
            await run.say("first")
            await run.say("second")
            run.transcript.focus_last()
            await run.press("b")
            await run.until(lambda: "follows this reply already" in run.notices(), "the word")
            await run.until(lambda: run.app.focused is run.chat.composer.prompt, "the prompt")
            await run.press("up", "k", "k", "b")
            await run.until(lambda: shown(run) == ["first", "One."], "the branch")
            await run.until(lambda: "what stood behind it is in the tree" in run.notices(), "the word")
            assert run.app.focused is run.chat.composer.prompt
            await run.say("other")
            assert [message.text for message in engine_of(run).requests[-1].messages] == ["first", "One.", "other"]
            assert shown(run) == ["first", "One.", "other", "Three."] and "‹ 2/2 ›" in run.text()
            run.transcript.focus_last()
            await run.press("k", "left")
            await run.until(lambda: shown(run) == ["first", "One.", "second", "Two."], "the old branch")

    play(scene)


def test_branch_as_a_command(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.") as run:
            await refused(run, "/branch", "no earlier reply")
            await run.write("")
            await run.say("first")
            await run.say("second")
            await command(run, "/branch")
            await run.until(lambda: path(run) == ["first", "One."], "the branch")
            await run.say("other")
            assert path(run) == ["first", "One.", "other", "Three."]

    play(scene)


def test_a_branch_that_cannot_be_kept_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageUnwritable("cannot write chats.db", "the disk is full", "make room")

    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            await again(run)
            monkeypatch.setattr(Talks, "branch", refuse)
            run.transcript.focus_last()
            await run.press("left")
            await run.until(lambda: "the disk is full" in run.notices(), "the reason")
            assert shown(run) == ["first", "Two."]

    play(scene)


def test_questions_have_no_continue_and_no_branch(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", size=(120, 24)) as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.until(lambda: "b branch" in run.text(), "the keys")
            assert "c continue" in run.text()
            await run.press("k")
            await run.until(lambda: "b branch" not in run.text(), "the keys")
            assert "e edit" in run.text() and "c continue" not in run.text()

    play(scene)
