"""`llmchat tokenize`: ids, pieces and bytes, of one model or several, and what reaches a terminal of hostile text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tui.asking import Asked, Opened, ask, environment
from tests.tui.terminal import unexpected

from llmchat_engine.answers import TokenPiece
from llmchat_engine.testing import FakeEngine
from llmchat_tui.cli.token_lines import Tokenized, comparison, rows, table

PIECES = (
    TokenPiece(1, "Hello", b"Hello"),
    TokenPiece(22, " w\n", b" w\n"),
    TokenPiece(333, "\ufffd", b"\xf0\x9f"),
    TokenPiece(4444, "<|im_end|>", b"", special=True),
)


def tokenize(home: Path, *arguments: str, stdin: bytes | None = None) -> Asked:
    return ask(home, *arguments, command="tokenize", stdin=stdin)


def test_every_token_has_a_line(home: Path) -> None:
    asked = tokenize(home, "one two", "three")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.splitlines() == [
        "3 tokens · 13 characters · 4.33 characters a token · fake-1B",
        "one|·two|·three",
        "",
        "     id  piece   bytes",
        "      0  one",
        "      1  ·two",
        "      2  ·three",
    ]


def test_bytes_stand_where_there_is_no_character_and_special_tokens_are_marked() -> None:
    text = "Hello w\n\U0001f44d"
    assert list(table(Tokenized("m", PIECES), text, color=False)) == [
        "4 tokens · 9 characters · 2.25 characters a token · m",
        "Hello|·w↵",
        "\ufffd|<|im_end|>",
        "",
        "     id  piece       bytes",
        "      1  Hello",
        "     22  ·w↵",
        "    333  \ufffd           f0 9f",
        "   4444  <|im_end|>  special",
    ]


def test_colours_take_the_place_of_bars() -> None:
    first, second = rows(PIECES, color=True)
    assert first == "\x1b[36mHello\x1b[0m\x1b[33m·w↵\x1b[0m"
    assert second == "\x1b[36m\ufffd\x1b[0m\x1b[1;35m<|im_end|>\x1b[0m"


def test_special_tokens_are_text_until_it_is_said(home: Path) -> None:
    plain = json.loads(tokenize(home, "--json", "<|im_end|>").out)
    special = json.loads(tokenize(home, "--json", "--special", "<|im_end|>").out)
    assert not any(piece["special"] for piece in plain["models"][0]["pieces"])
    assert [piece["special"] for piece in special["models"][0]["pieces"]] == [True]


def test_json_has_everything(home: Path) -> None:
    told = json.loads(tokenize(home, "--json", "où est").out)
    assert (told["text"], told["characters"]) == ("où est", 6)
    (model,) = told["models"]
    assert (model["model"], model["tokens"], model["characters_per_token"]) == ("fake-1B", 2, 3.0)
    assert model["pieces"][0] == {"id": 0, "text": "où", "bytes": "6fc3b9", "special": False}


def test_the_ids_alone_are_one_line(home: Path) -> None:
    assert tokenize(home, "--ids", "one two three").out == "0 1 2\n"


def test_models_are_compared(home: Path) -> None:
    opened = Opened(FakeEngine())
    model = environment(home)["LLMCHAT_MODEL"]
    asked = ask(home, "-m", model, "-m", model, "--threads", "1", "one two", engine=opened, command="tokenize")
    assert asked.out.splitlines() == [
        "model       tokens  characters a token",
        "fake-1B          2                3.50",
        "fake-1B          2                3.50",
        "",
        "fake-1B",
        "one|·two",
        "",
        "fake-1B",
        "one|·two",
    ]
    assert [spec.threads for spec, _ in opened.specs] == [1, 1]
    assert tokenize(home, "-m", model, "-m", model, "--ids", "a b").out == "0 1\n0 1\n"


def test_a_model_that_is_not_there_is_told_before_any_is_loaded(home: Path) -> None:
    opened = Opened(FakeEngine())
    asked = ask(home, "-m", environment(home)["LLMCHAT_MODEL"], "-m", "nope", "x", engine=opened, command="tokenize")
    assert (asked.code, opened.specs) == (3, [])
    assert "no model nope" in asked.err


def test_what_is_piped_in_is_taken_as_it_is(home: Path) -> None:
    told = json.loads(tokenize(home, "--json", stdin=b" a b\n\n").out)
    assert told["text"] == " a b\n\n"
    assert json.loads(tokenize(home, "--json", "-", stdin=b"x\n").out)["text"] == "x\n"
    assert json.loads(tokenize(home, "--json", "words", stdin=b"unread").out)["text"] == "words"
    assert tokenize(home, stdin=b"").out.startswith("0 tokens · 0 characters")


def test_a_file_is_taken_as_it_is(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("one two\n")
    assert json.loads(tokenize(home, "--json", "-f", str(file)).out)["text"] == "one two\n"
    file.write_bytes(b"\0\1\2")
    refused = tokenize(home, "-f", str(file))
    assert (refused.code, "looks binary" in refused.err) == (9, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [((), "there is no text"), (("-f", "a", "b"), "exclude each other"), (("-f", "/nowhere"), "cannot be read")],
)
def test_what_cannot_be_used_is_refused(home: Path, arguments: tuple[str, ...], why: str) -> None:
    asked = tokenize(home, *arguments)
    assert asked.code == 2
    assert why in asked.err


def test_hostile_text_does_not_act_on_a_terminal() -> None:
    hostile = "\x1b]52;c;QQ==\x07\u202e\u200bx\r"
    one = Tokenized("m\x1b[2J", (TokenPiece(0, hostile, hostile.encode()), TokenPiece(1, "\x9b3m\n", b"\n")))
    for line in (*table(one, hostile, color=False), *comparison([one, one], hostile, color=False)):
        assert unexpected(line.encode()) == []
    assert "\\u200bx␍" in next(iter(rows(one.pieces, color=False)))
