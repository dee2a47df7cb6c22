"""`llmchat chat -t NAME`, full-screen and line by line: new chats begin by the template, and thoughts are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.asking import ask, environment, stored
from tests.tui.chat_terminal import ChatTerminal
from tests.tui.fake_ask_child import Part, Play
from tests.tui.test_chat_command import chat

from llmchat_tui.history import Conversation, History
from llmchat_tui.recipe import recipe_of

TEMPLATE = """
system = "You know capitals."
user = "Of $country, $input"

[params]
country = ""

[sampling]
temperature = 0.25
top_k = 9

[[shots]]
input = "the capital?"
output = "Paris"
"""
FLAGS = ("-t", "capitals", "-p", "country", "Spain", "--top-k", "5")


@pytest.fixture(autouse=True)
def template(home: Path) -> None:
    """The template capitals, one that reasons, and one that answers from documents."""
    folder = home / "templates"
    folder.mkdir(parents=True)
    (folder / "capitals.toml").write_text(TEMPLATE, encoding="utf-8")
    (folder / "steps.toml").write_text('cot = "zero-shot"', encoding="utf-8")
    (folder / "grounded.toml").write_text('[documents]\ncollections = ["notes"]', encoding="utf-8")


def check_kept(home: Path) -> Conversation:
    """Looks at the one chat on disk: it is that of the template."""
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
    recipe = recipe_of(only.recipe)
    assert (only.system, recipe.template, recipe.wrapped("x")) == ("You know capitals.", "capitals", "Of Spain, x")
    assert [message.sent for message in stored(home) if message.role == "assistant"] == ["Of Spain, the sea?"]
    return only


def test_line_by_line(home: Path) -> None:
    with chat(home, *FLAGS, play=Play((Part("The sea."),))) as talk:
        talk.say("the sea?")
        talk.press("d")
        assert talk.end() == 0
    assert check_kept(home).sampling == {"temperature": 0.25}
    sampling = stored(home)[1].settings["sampling"]
    assert (sampling["temperature"], sampling["top_k"]) == (0.25, 5)
    with chat(home, "-c", play=Play((Part("The hills."),))) as talk:
        talk.say("the hills?")
        talk.press("d")
        talk.end()
    reply = stored(home)[3]
    assert (reply.sent, reply.settings["sampling"]["temperature"]) == ("Of Spain, the hills?", 0.25)


def test_full_screen(home: Path) -> None:
    environ = environment(home, TERM="xterm-256color", COLORTERM="truecolor", COLORFGBG="15;0")
    with ChatTerminal(environ, play=Play((Part("The sea."),)), arguments=["chat", *FLAGS]) as shown:
        shown.wait_for("fake-1B")
        shown.type("the sea?\r")
        shown.wait_for("The sea.")
        shown.wait_for("tok/s")
        shown.type("\x11")  # ^Q
        assert shown.end() == 0
    assert check_kept(home).sampling == {"temperature": 0.25}


def test_line_by_line_what_is_thought_comes_before_the_answer(home: Path) -> None:
    with chat(home, play=Play((Part("42.", thought="Six times seven."),))) as talk:
        said = talk.say("How many?")
        assert said.index("Six times seven.") < said.index("42.")
    assert stored(home)[1].thought == "Six times seven."


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (("-t", "nothing"), 3, "there is no template"),
        (("-t", "capitals"), 2, "needs country"),
        (("-p", "country", "Spain"), 2, "--param is about a template"),
        (("-t", "grounded"), 3, "there are no documents yet"),
    ],
)
@pytest.mark.parametrize("plain", [(), ("--plain",)])
def test_what_opens_no_chat(home: Path, plain: tuple[str, ...], flags: tuple[str, ...], code: int, told: str) -> None:
    asked = ask(home, *plain, *flags, command="chat")
    assert (asked.code, told in asked.err) == (code, True)


def test_line_by_line_documents_are_refused_beside_reasoning(home: Path) -> None:
    with chat(home, "-t", "steps", play=Play()) as talk:
        assert "from documents there is one answer" in talk.say("/docs all")
        talk.press("d")
        assert talk.end() == 0
