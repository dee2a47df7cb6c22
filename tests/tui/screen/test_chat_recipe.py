"""The commands about how a chat asks: thoughts, chains of thought, schemas; on disk, and beside documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.command_hand import command, engine_of, refused

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.recipe import PLAIN, Recipe, recipe_of


@pytest.mark.parametrize(
    ("typed", "changed"),
    [
        ("/think on", {"think": "on"}),
        ("/think off", {"think": "off"}),
        ("/think 0", {"think": "off"}),
        ("/think 300", {"think": "on", "think_budget": 300}),
        ("/cot few-shot", {"cot": "few-shot"}),
        ("/votes 5", {"votes": 5}),
        ("/keep-thoughts on", {"keep_thoughts": True}),
    ],
)
def test_what_is_changed_is_kept_with_the_chat_and_sent(home: Path, typed: str, changed: dict[str, Any]) -> None:
    async def scene() -> None:
        async with chatting(home, "The answer is 9.") as run:
            await run.say("hello")
            await command(run, typed)
            assert run.chat.talk.recipe == Recipe(**changed)
            kept = run.history.conversation(run.chat.talk.conversation_id)
            assert recipe_of(kept.recipe) == Recipe(**changed)
            await run.say("how many?")
            request = engine_of(run).requests[1]  # a chain of thought has a second pass, which asks in its own way
            for name in ("think", "think_budget", "keep_thoughts"):
                assert getattr(request, name) == getattr(Recipe(**changed), name)

    play(scene)


def test_everything_is_taken_back(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            for typed in ("/think 300", "/cot zero-shot", "/votes 3", "/keep-thoughts on", "/schema name, age int"):
                await command(run, typed)
            recipe = run.chat.talk.recipe
            assert (recipe.think_budget, recipe.cot, recipe.votes) == (300, "zero-shot", 3)
            assert '"age"' in recipe.schema
            for typed in ("/think auto", "/cot off", "/votes off", "/keep-thoughts off", "/schema off"):
                await command(run, typed)
            assert run.chat.talk.recipe == PLAIN

    play(scene)


def test_what_cannot_be_is_refused_and_stays_in_the_prompt(home: Path) -> None:
    wrong = (
        ("/think hard", "cannot think 'hard'"),
        ("/cot many", "no chain of thought 'many'"),
        ("/keep-thoughts maybe", "cannot be kept"),
        ("/schema {", "schema"),
    )

    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            for typed, why in wrong:
                await refused(run, typed, why)
                assert run.draft == typed
            assert run.chat.talk.recipe == PLAIN

    play(scene)


def test_a_few_shot_chain_of_thought_without_reasons_is_told(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.", wanted_recipe=Recipe(shots=(Shot("a", "b"),))) as run:
            await command(run, "/cot few-shot")
            assert "no example of this chat shows how its answer was found" in run.notices()

    play(scene)


def test_from_documents_there_is_neither_a_chain_of_thought_nor_a_vote(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            run.chat.talk.collections = ("notes",)
            await refused(run, "/cot zero-shot", "cannot have a chain of thought")
            await refused(run, "/votes 3", "cannot have votes")
            run.chat.talk.collections = ()
            await command(run, "/votes 3")
            await refused(run, "/docs notes", "cannot have documents")
            assert run.chat.talk.collections == ()

    play(scene)


def test_a_new_chat_begins_as_the_flags_say(home: Path) -> None:
    recipe = Recipe(template="sums", wrapper="Add: $input", shots=(Shot("1 and 1", "2"),))

    async def scene() -> None:
        async with chatting(home, "Four.", wanted_recipe=recipe) as run:
            assert run.chat.talk.recipe == recipe
            await run.say("2 and 2")
            assert engine_of(run).requests[-1].messages[-1].text == "Add: 2 and 2"
            await run.chat.show_new()
            assert run.chat.talk.recipe == recipe

    play(scene)


def test_another_answer_is_asked_as_the_chat_asks_now_and_a_question_behind_it_sees_what_was_sent(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Four.", wanted_recipe=Recipe(wrapper="Add: $input")) as run:
            await run.say("2 and 2")
            await command(run, "/template off")
            await run.say("and 3")
            texts = [message.text for message in engine_of(run).requests[-1].messages]
            assert texts == ["Add: 2 and 2", "Four.", "and 3"]
            run.transcript.views[0].focus()
            await run.press("r")
            await run.until(lambda: len(run.replies()) == 3 and not run.chat.talk.running, "another answer")
            assert [message.text for message in engine_of(run).requests[-1].messages] == ["2 and 2"]

    play(scene)
