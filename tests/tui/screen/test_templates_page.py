"""Templates in the chat: the list with its preview, parameters, what a chat has of one, and taking it away."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting
from tests.tui.screen.chatting import play as play_chat
from tests.tui.screen.command_hand import command, engine_of, page, refused
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, answers, assert_harmless, painted, play, words

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateInvalid
from llmchat_tui.recipe import PLAIN, recipe_of
from llmchat_tui.screens.chat_settings import ChatSettingsScreen
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.template_params import TemplateParamsScreen
from llmchat_tui.screens.templates import TemplatesScreen
from llmchat_tui.templates.finding import Listed
from llmchat_tui.templates.values import Template

SUMS = Template(
    "sums",
    "Adds numbers",
    system="You add.",
    user="Add: $input",
    shots=tuple(Shot(f"{n} and {n}", str(2 * n)) for n in range(12)),
    cot="few-shot",
    sampling={"temperature": 0.1},
)
TONE = Template("tone", "Says it otherwise", user="In a $tone tone: $input", params={"tone": "calm", "length": ""})
BROKEN = TemplateInvalid("/x/bad.toml:3: unknown key systen", "did you mean system?", "edit /x/bad.toml")
LISTED = (
    Listed("bad", None, Path("/x/bad.toml"), BROKEN),
    Listed("sums", SUMS, None),
    Listed("tone", TONE, Path("/x/tone.toml")),
)


@pytest.mark.parametrize("size", SIZES)
def test_the_list_and_the_preview(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        shown = words(app)
        assert ("Adds numbers" in shown and "yours" in shown) or size[0] == 40
        assert "unknown key systen" in shown and "did you mean system?" in shown
        await hand.press("down")
        await hand.settle()
        scrolled = words(app)
        for _ in range(6):
            await hand.press("pagedown")
            await hand.settle()
            scrolled += words(app)
        for part in (
            "You add.",
            "Add: $input",
            "12 examples",
            "0 and 0 → 0",
            "and 9 more",
            "cot few-shot",
            "temperature",
        ):
            assert part in scrolled, part

    play(TemplatesScreen(LISTED), steps, size)


def test_enter_ends_with_the_template_and_typing_narrows() -> None:
    found = answers(
        (
            (TemplatesScreen(LISTED), ["down", "enter"]),
            (TemplatesScreen(LISTED), [*"other", "enter"]),
            (TemplatesScreen(LISTED), ["enter"]),
            (TemplatesScreen(LISTED), [*"nothing", "enter"]),
            (TemplatesScreen(LISTED), [*"s", "down", "down", "down", "up", "up", "up", "enter"]),
            (TemplatesScreen(LISTED, "tone"), ["enter"]),
            (TemplatesScreen(()), ["down", "enter", "escape"]),
        )
    )
    assert found == [[SUMS], [TONE], [], [], [SUMS], [TONE], [None]]


def test_a_broken_one_says_why_and_is_not_used() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("enter")
        assert "cannot be used" in painted(app) and not app.results

    play(TemplatesScreen(LISTED), steps)


@pytest.mark.parametrize("size", SIZES)
def test_what_a_template_says_is_harmless(size: tuple[int, int]) -> None:
    evil = Template(EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL}, (Shot(EVIL, EVIL),), sampling={"stop": (EVIL,)})
    listed = [
        Listed(EVIL, evil, Path(EVIL.replace("\0", ""))),
        Listed("b", None, None, TemplateInvalid(EVIL, EVIL, EVIL)),
    ]

    async def steps(hand: Hand, app: Stage) -> None:
        for key in ("pagedown", "down", "up"):
            await hand.press(key)
            await hand.settle()
            assert_harmless(app)

    play(TemplatesScreen(listed, EVIL), steps, size)
    play(TemplateParamsScreen(EVIL, {EVIL: EVIL}), steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_asked_for(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(*"short", "enter")
        await hand.settle()
        assert "it has no default" in words(app) and not app.results
        await hand.press(*"two lines", "enter")
        assert app.results == [{"tone": "short", "length": "two lines"}]

    play(TemplateParamsScreen("tone", TONE.params), steps, size)
    assert answers([(TemplateParamsScreen("tone", TONE.params), ["escape"])]) == [[None]]


def write_templates(home: Path, run: Chatting) -> None:
    folder = run.app.desk.paths.templates_dir
    folder.mkdir(parents=True)
    (folder / "sums.toml").write_text(
        'description = "Adds"\nsystem = "You add."\nuser = "Add: $input"\n[[shots]]\ninput = "1 and 1"\noutput = "2"\n'
        "[sampling]\ntemperature = 0.1\n"
    )
    (folder / "tone.toml").write_text('user = "In a $tone tone: $input"\n[params]\ntone = ""\n')
    (folder / "votes.toml").write_text('cot = "zero-shot"\nvotes = 3\n')
    (folder / "broken.toml").write_text("systen = 1\n")


async def listed(run: Chatting, key: str = "f7") -> None:
    await run.press(key)
    await run.until(lambda: isinstance(run.app.screen, TemplatesScreen), "the list")
    await run.settle()


async def back(run: Chatting) -> None:
    await run.until(lambda: run.app.screen is run.chat, "the chat")
    await run.settle()


def test_a_chat_is_asked_by_a_template_from_the_next_question_on(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Four.", size=(110, 30)) as run:
            write_templates(home, run)
            await run.say("hello")
            await listed(run)
            await run.press(*"sums", "enter")
            await back(run)
            talk = run.chat.talk
            assert (talk.recipe.template, talk.system, talk.sampling) == ("sums", "You add.", {"temperature": 0.1})
            assert "template sums" in run.text()
            await run.say("2 and 2")
            sent = [(message.role, message.text) for message in engine_of(run).requests[-1].messages]
            assert sent[:3] == [("system", "You add."), ("user", "Add: 1 and 1"), ("assistant", "2")]
            assert sent[-1] == ("user", "Add: 2 and 2") and ("user", "hello") in sent
            assert [message.text for message in run.stored() if message.role == "user"] == ["hello", "2 and 2"]
            await run.until(lambda: "shots " in run.text(), "the gauge")
            assert "shots" in await page(run, "/context", InfoScreen)
            assert "template         sums" in await page(run, "/show info", InfoScreen)
            await command(run, "/system")
            await run.until(lambda: isinstance(run.app.screen, ChatSettingsScreen), "the chat's own settings")
            await run.settle()
            assert "Asked with template sums" in run.text()
            await run.press("escape")
            await back(run)
            kept = run.history.conversation(talk.conversation_id)
            assert recipe_of(kept.recipe) == talk.recipe and kept.system == "You add."
            await command(run, "/template off")
            assert (talk.recipe, talk.system, talk.sampling) == (PLAIN, "", {})
            kept = run.history.conversation(talk.conversation_id)
            assert (kept.recipe, kept.system, kept.sampling) == ({}, "", {})
            assert "template sums" not in run.text().splitlines()[0]

    play_chat(scene)


def test_parameters_of_a_chosen_template_are_put_in(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            write_templates(home, run)
            await command(run, "/template tone")
            await run.until(lambda: isinstance(run.app.screen, TemplateParamsScreen), "the fields")
            await run.settle()
            await run.press(*"calm", "enter")
            await back(run)
            await run.say("go away")
            assert engine_of(run).requests[-1].messages[-1].text == "In a calm tone: go away"

    play_chat(scene)


def test_what_cannot_be_had_is_told(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            write_templates(home, run)
            await refused(run, "/template nothing", "there is no template 'nothing'")
            await refused(run, "/template broken", "did you mean system?")
            run.chat.talk.collections = ("notes",)
            await command(run, "/template votes")
            await run.until(lambda: "cannot have a chain of thought and votes" in run.notices(), "the refusal")
            assert run.chat.talk.recipe == PLAIN

    play_chat(scene)


def test_a_chat_from_disk_is_asked_as_before(home: Path) -> None:
    chats: list[str] = []

    async def first() -> None:
        async with chatting(home, "Four.") as run:
            write_templates(home, run)
            await command(run, "/template sums")
            await back(run)
            await run.say("2 and 2")
            chats.append(run.chat.talk.conversation_id)

    async def second() -> None:
        async with chatting(home, "Six.", start=chats[0]) as run:
            await run.say("3 and 3")
            assert engine_of(run).requests[-1].messages[-1].text == "Add: 3 and 3"
            assert engine_of(run).requests[-1].messages[3].text == "Add: 2 and 2"

    play_chat(first)
    play_chat(second)
