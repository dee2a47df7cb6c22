"""Files that a message names: which words count, what is read, and what stays plain text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmchat_tui.attachments import MENTION, expand, mention, pasted_files, unquoted
from llmchat_tui.errors import InputError, UsageError
from llmchat_tui.inputs import Limits


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in {"a.txt": "alpha", "my file.txt": "spaced\n\n", "sub/b.md": "beta"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def ask(text: str, home: Path) -> tuple[str, tuple[str, ...]]:
    found = expand(text, Limits(1), home)
    return found.question, found.files


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("what is @a.txt", ("a.txt",)),
        ("@a.txt", ("a.txt",)),
        ("see (@a.txt), and @sub/b.md!", ("a.txt", "sub/b.md")),
        ('@"my file.txt" please', ("my file.txt",)),
        ("`@a.txt` is no word of its own", ()),
        ("line\n@a.txt\nline", ("a.txt",)),
        ("twice @a.txt and @./a.txt", ("a.txt",)),
        ("@./a.txt?!", ("./a.txt",)),
        ("mail me@a.txt", ()),
        ("@property\ndef f(): ...", ()),
        ("@ a.txt @", ()),
        ("@. @.. @/ @~ @...", ()),
        ('@"a.txt', ()),
        ("@nothing.txt @a.txt.gz", ()),
        ("@" + "x" * 5000, ()),
        ("@a\0b", ()),
    ],
)
def test_which_words_name_files(text: str, files: tuple[str, ...], home: Path) -> None:
    assert ask(text, home)[1] == files


def test_files_stand_before_the_text_as_it_was_typed(home: Path) -> None:
    assert ask("compare @sub/b.md with @a.txt", home)[0] == (
        "--- sub/b.md ---\nbeta\n\n--- a.txt ---\nalpha\n\ncompare @sub/b.md with @a.txt"
    )
    assert ask("  nothing named \n", home)[0] == "  nothing named \n"


@pytest.mark.parametrize(
    "written",
    ["{home}/my\\ file.txt what?", "'{home}/my file.txt' what?", '"{home}/my file.txt" what?', "'{home}/my file.txt'"],
)
def test_a_message_may_begin_with_a_path(written: str, home: Path) -> None:
    text = written.format(home=home)
    assert ask(text, home) == (f"--- {home}/my file.txt ---\nspaced\n\n{text}", (f"{home}/my file.txt",))


@pytest.mark.parametrize("text", ["a.txt what?", "/tmp is full", "/new", "/no/such/file", "./", "'a.txt'", '"', "\\"])
def test_what_begins_otherwise_is_text(text: str, home: Path) -> None:
    assert ask(text, home) == (text, ())


def test_a_tilde_is_the_home_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    assert ask("~/a.txt says?", Path("/"))[1] == ("~/a.txt",)
    assert ask("and @~/sub/b.md", Path("/"))[1] == ("~/sub/b.md",)


def test_a_question_that_is_asked_again_has_its_files_already(home: Path) -> None:
    once, _files = ask("why @a.txt", home)
    assert ask(once + "?", home)[0] == once + "?"
    (home / "a.txt").write_text("changed")
    assert ask(once, home)[0] == once


def test_a_directory_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="sub is a directory") as caught:
        ask("read @sub, please", home)
    assert "@sub/FILE" in caught.value.hint


def test_limits_and_binaries_are_those_of_other_input(home: Path) -> None:
    (home / "half").write_bytes(b"x" * (600 << 10))
    (home / "other").write_bytes(b"y" * (600 << 10))
    (home / "photo").write_bytes(b"\xff\xd8\0\0")
    (home / "latin").write_bytes("crème".encode("latin-1"))
    (home / "gone").symlink_to("nowhere")
    os.mkfifo(home / "fifo")
    assert len(ask("@half", home)[0]) > 600 << 10
    with pytest.raises(InputError, match="all files together is too large"):
        ask("@half @other", home)
    for name in ("photo", "fifo"):
        with pytest.raises(InputError):
            ask(f"@{name}", home)
    with pytest.raises(UsageError, match="cannot be read"):
        ask("@gone", home)
    assert expand("@latin", Limits(1), home).warnings == (
        "latin is not UTF-8 text everywhere: 1 characters were replaced",
    )


def test_many_at_signs_cost_little(home: Path) -> None:
    text = "@a.txt " + " @nope" * 50_000
    assert ask(text, home)[1] == ("a.txt",)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
@hypothesis_settings(max_examples=200, deadline=None)
def test_a_mention_reads_back_as_its_name(name: str) -> None:
    match = MENTION.fullmatch(mention(name))
    assert match is not None
    in_quotes, bare = match.groups()
    assert (bare if in_quotes is None else unquoted(in_quotes)) == name


def test_what_terminals_paste_when_a_file_is_dropped(home: Path) -> None:
    plain, spaced = f"{home}/a.txt", f"{home}/my file.txt"
    for text in (
        spaced,
        f"'{spaced}'",
        f'"{spaced}" ',
        spaced.replace(" ", "\\ "),
        "file://" + spaced.replace(" ", "%20"),
    ):
        assert pasted_files(text) == (spaced,)
    assert pasted_files(f"'{spaced}' {plain}\n") == (spaced, plain)
    assert pasted_files(f"file://localhost{plain}") == (plain,)


@pytest.mark.parametrize(
    "text", ["a.txt", "", " ", "{home}", "{home}/none", "see {home}/a.txt", "{home}/a.txt\nb", "it's", "/" * 9000, "\\"]
)
def test_other_pastes_are_text(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert pasted_files(text.format(home=home)) == ()
