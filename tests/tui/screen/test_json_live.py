"""A reply that is JSON: laid out while it grows and at the end, exact on disk, and plain text where it is none."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.tui.screen.chatting import Chatting, chatting, play

from llmchat_engine.testing import Script
from llmchat_tui.history import ReplyEnd
from llmchat_tui.recipe import Recipe
from llmchat_tui.widgets.answer import Fence
from llmchat_tui.widgets.reply import ReplyView

OBJECT = '{"name": "Ada", "born": 1815, "works": ["Notes on the engine"], "alive": false}'
PAINT_SECONDS = 0.05


def view_of(run: Chatting) -> ReplyView:
    view = run.transcript.last_reply
    assert view is not None
    return view


def code_of(run: Chatting) -> list[str]:
    return [fence.code for fence in view_of(run).query(Fence)]


def test_it_is_laid_out_while_it_grows_and_exact_on_disk(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script(OBJECT, hang_after=6)) as run:
            await run.send("who?")
            await run.until(lambda: bool(view_of(run).text), "some of it")
            await run.until(lambda: code_of(run) != [], "the code")
            said = view_of(run).text
            assert OBJECT.startswith(said) and said != OBJECT
            await run.until(lambda: '"works": [' in run.text(), "the list")
            shown = json.loads(code_of(run)[0])
            assert shown == {"name": "Ada", "born": 1815, "works": ["Notes"]}
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert run.replies()[0].text == said
            assert code_of(run)[0] == json.dumps(shown, indent=2)

    play(scene)


def test_the_end_is_shown_whole_also_in_the_next_session(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, OBJECT) as run:
            await run.say("who?")
            assert code_of(run) == [json.dumps(json.loads(OBJECT), indent=2)]
            assert run.replies()[0].text == OBJECT
            await run.press("up", "y")
            chat = run.chat.talk.conversation_id
        async with chatting(home, "never", start=chat) as run:
            await run.until(lambda: len(code_of(run)) == 1, "the code")
            assert view_of(run).text == OBJECT

    play(scene)


def test_what_turns_out_to_be_no_json_is_text_again(home: Path) -> None:
    text = '{"a": 1} is what *I* would write. And then some more words'

    async def scene() -> None:
        async with chatting(home, Script(text, hang_after=10)) as run:
            await run.send("who?")
            await run.until(lambda: "would write" in run.text(), "the text")
            assert code_of(run) == []
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert '{"a": 1} is what I would write' in run.text()

    play(scene)


def test_under_a_schema_any_json_counts(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "[1, 2]", "[1, 2]") as run:
            await run.say("numbers")
            assert code_of(run) == []
            run.chat.talk.recipe = Recipe(schema='{"type": "array"}')
            await run.say("numbers")
            assert code_of(run) == ["[\n  1,\n  2\n]"]
            chat = run.chat.talk.conversation_id
        async with chatting(home, "never", start=chat) as run:
            await run.until(lambda: len(code_of(run)) == 1, "the code")

    play(scene)


def test_a_long_one_is_painted_within_the_time_of_a_paint(home: Path) -> None:
    rows = [{"name": f"row {number}", "value": number, "tags": ["a", "b"]} for number in range(100)]
    text = json.dumps(rows)

    async def scene() -> None:
        async with chatting(home, "Hello.", size=(120, 36)) as run:
            await run.say("who?")
            view = view_of(run)
            view.answer.growing = True
            stream = view.answer.get_stream(view.answer)
            await view.answer.grow(text[:-60], "", stream)
            took = []
            for end in range(len(text) - 50, len(text), 10):
                began = time.perf_counter()
                await view.answer.grow(text[:end], "", stream)
                took.append(time.perf_counter() - began)
            print(f"{len(text):,} characters of JSON: {1000 * max(took):.1f} ms")
            assert min(took) < PAINT_SECONDS
            await stream.stop()

    play(scene)


def test_a_reply_of_documents_keeps_its_marks(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, OBJECT) as run:
            await run.say("who?")
            view = view_of(run)
            await view.show_marks(((4, "✓"),))
            await run.settle()
            assert code_of(run) == [] and "✓" in run.text()

    play(scene)


def test_a_stored_one_that_was_cut_is_closed_on_the_screen_alone(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "never") as run:
            begun = run.history.begin("who?")
            run.history.finish(begun.reply_id, ReplyEnd('{"name": "Ad', "stopped"))
            await run.chat.show_talk(run.chat.talks.open(run.history.conversation(begun.conversation_id)))
            await run.until(lambda: code_of(run) == ['{\n  "name": "Ad"\n}'], "the code")
            assert run.replies()[0].text == '{"name": "Ad'

    play(scene)
