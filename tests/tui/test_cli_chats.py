"""`llmchat chats`: what each command prints and does, and what reaches a terminal from hostile chats."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.tui.stored import add_turn
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_tui.cli.app import App
from llmchat_tui.cli.chats import chats
from llmchat_tui.errors import ImportRefused, InputError, NotFound, StorageUnwritable, UsageError
from llmchat_tui.history import History

EVIL = "\x1b]52;c;QQ==\x07 \x1b[35m \x9b35m \x1b]0;t\x1b\\ \u202egpj \x1bP1\x1b\\ \x08\x0e\rover \x85 \u2066"
_OURS = ("\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(chats, arguments, obj=App(), catch_exceptions=False)


@pytest.fixture
def chat(history: History) -> str:
    """A chat of two turns about towers; its id."""
    conversation_id = add_turn(history, "Where is the tower?\nTell me.", "In **Paris**.\n", model="SmolLM2")
    return add_turn(history, "How high?", "330 m \x1b[1m", conversation_id, model="SmolLM2")


def test_list(history: History, chat: str) -> None:
    other = add_turn(history, "Poem \x1b[31m", "Roses")
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [other[:10], chat[:10]]
    assert lines[0].endswith("  Poem ␛[31m")
    assert lines[1].endswith("  Where is the tower?")
    assert run("list", "--limit", "1").stdout.splitlines() == lines[:1]


def test_what_list_prints_is_a_name(chat: str) -> None:
    name = run("list").stdout.split()[0]
    assert run("show", name).stdout == run("show", chat).stdout


def test_an_empty_list_prints_nothing() -> None:
    assert run("list").stdout == ""
    assert json.loads(run("list", "--json").stdout) == []


def test_list_json(chat: str) -> None:
    (found,) = json.loads(run("list", "--json").stdout)
    assert (found["id"], found["title"], found["message_count"]) == (chat, "Where is the tower?", 4)


def test_show_is_exact_in_a_pipe(chat: str) -> None:
    assert run("show", chat).stdout == (
        "# Where is the tower?\n\n## You\n\nWhere is the tower?\nTell me.\n\n## SmolLM2\n\nIn **Paris**.\n\n"
        "## You\n\nHow high?\n\n## SmolLM2\n\n330 m \x1b[1m\n"
    )


def test_show_follows_the_newest_branch(history: History, chat: str) -> None:
    first = history.messages(chat)[0]
    again = history.begin_reply(first.id)
    history.checkpoint(again.reply_id, "In Rome.")
    shown = run("show", chat).stdout
    assert "In Rome." in shown
    assert "Paris" not in shown
    assert [message["text"] for message in json.loads(run("show", chat, "--json").stdout)["messages"]][1:] == [
        "In Rome."
    ]


def test_search(chat: str) -> None:
    (line,) = run("search", "paris").stdout.splitlines()
    assert line.startswith(chat[:10])
    assert "In **Paris**." in line
    (hit,) = json.loads(run("search", "--json", "high", "how").stdout)
    assert hit["conversation"]["id"] == chat
    assert run("search", "berlin").stdout == ""
    assert run("search", '"', "OR", "*").exit_code == 0


def test_export_markdown(chat: str, tmp_path: Path) -> None:
    text = run("export", chat).stdout
    assert text.startswith('---\ntitle: "Where is the tower?"\n')
    assert text.endswith(run("show", chat).stdout)
    assert run("export", chat, "-o", str(tmp_path / "chat.md")).stdout == ""
    assert (tmp_path / "chat.md").read_text() == text


def test_export_json_has_the_whole_tree(history: History, chat: str) -> None:
    history.begin_reply(history.messages(chat)[0].id)
    export = json.loads(run("export", chat, "--format", "json").stdout)
    assert (export["format"], export["version"], len(export["messages"])) == ("llmchat-chat", 1, 5)
    assert export["messages"][1]["token_ids"] == [1, 2, 3]


def test_export_replaces_no_file_unasked(chat: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.md"
    file.write_text("mine")
    with pytest.raises(UsageError, match="it exists already"):
        run("export", chat, "-o", str(file))
    assert file.read_text() == "mine"
    run("export", chat, "-o", str(file), "--force")
    assert file.read_text().startswith("---")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="directory"):
        run("export", chat, "-o", str(tmp_path), "--force")


def test_export_writes_into_a_device_and_does_not_replace_it(chat: str) -> None:
    assert run("export", chat, "-o", os.devnull, "--force").exit_code == 0
    assert not os.path.isfile(os.devnull)
    if os.path.exists("/dev/full"):
        with pytest.raises(StorageUnwritable):
            run("export", chat, "-o", "/dev/full")


def test_rm_needs_a_yes_where_nobody_can_be_asked(history: History, chat: str) -> None:
    with pytest.raises(UsageError) as caught:
        run("rm", chat)
    assert (caught.value.exit_code, "--yes" in caught.value.hint) == (2, True)
    assert history.conversations()


def test_rm_removes_all_or_nothing(history: History, chat: str) -> None:
    other = add_turn(history, "Poem", "Roses")
    with pytest.raises(NotFound):
        run("rm", "--yes", chat, "no such chat")
    assert len(history.conversations()) == 2
    run("rm", "--yes", chat, other, chat)
    assert history.conversations() == []


@pytest.mark.parametrize(("typed", "left"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0)])
def test_rm_asks_on_a_terminal(history: History, chat: str, typed: bytes, left: int) -> None:
    output, code = run_in_terminal(["chats", "rm", chat], {**os.environ, "TERM": "xterm"}, typed=typed)
    assert b"Where is the tower?" in output
    assert (code, len(history.conversations())) == (0, left)


def test_rename(history: History, chat: str) -> None:
    run("rename", "where is the tower?".capitalize(), "Towers")
    assert history.conversation(chat).title == "Towers"
    with pytest.raises(UsageError, match="empty"):
        run("rename", chat, " ")


def test_import_what_was_exported(history: History, chat: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    run("export", chat, "--format", "json", "-o", str(file))
    shown = run("show", chat).stdout
    run("rm", "--yes", chat)
    (line,) = run("import", str(file)).stdout.splitlines()
    new = line.split()[0]
    assert line == f"{new}  Where is the tower?  (4 messages)"
    assert new != chat
    assert run("show", new).stdout == shown


def test_a_chat_that_is_here_is_not_imported_again(history: History, chat: str, tmp_path: Path) -> None:
    file, rows = tmp_path / "chat.json", tmp_path / "rows.json"
    run("export", chat, "--format", "json", "-o", str(file))
    rows.write_text(json.dumps([{"id": "1", "prompt": "Poem", "response": "Roses", "conversation_id": "c"}]))
    first = run("import", str(file), str(rows))
    assert (len(first.stdout.splitlines()), "1 chat was taken over; 1 was here already" in first.stderr) == (1, True)
    add_turn(history, "One more", "Violets", first.stdout.split()[0])
    again = run("import", str(file), str(rows), str(rows))
    assert (again.stdout, "0 chats were taken over; 3 were here already" in again.stderr) == ("", True)
    marks = json.loads(run("import", str(file), str(rows), "--json").stdout)
    assert [(found["title"], found["new"]) for found in marks] == [("Where is the tower?", False), ("Poem", False)]
    assert len(history.conversations()) == 2


def test_a_file_that_holds_more_than_is_here_is_imported(history: History, chat: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    run("export", chat, "--format", "json", "-o", str(file))
    longer = json.loads(file.read_text())
    last = longer["messages"][-1]
    question = {**last, "id": "q", "parent_id": last["id"], "role": "user", "text": "And now?"}
    longer["messages"] += [question, {**last, "id": "r", "parent_id": "q"}]
    file.write_text(json.dumps(longer))
    assert "(6 messages)" in run("import", str(file)).stdout
    assert run("import", str(file)).stdout == ""
    assert len(history.conversations()) == 2


def test_import_refuses_what_is_no_file_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in (str(tmp_path / "fifo"), "/dev/zero"):
        with pytest.raises(InputError, match="is not a file"):
            run("import", name)


def test_import_tells_what_was_taken_over_before_it_failed(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, calls = History.add, []

    def add_one(self: History, *chat: Any) -> str:
        calls.append(chat)
        if len(calls) > 1:
            raise StorageUnwritable("the disk is full")
        return add(self, *chat)

    monkeypatch.setattr(History, "add", add_one)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"id": name, "prompt": name, "response": name} for name in "abc"]))
    done = CliRunner().invoke(chats, ["import", str(rows)], obj=App())
    assert isinstance(done.exception, StorageUnwritable)
    assert (len(done.stdout.splitlines()), "1 chat was taken over" in done.stderr) == (1, True)


def test_import_several_files_and_stdin(history: History, chat: str, tmp_path: Path) -> None:
    rows = [{"id": "1", "prompt": "Poem \x1b[31m", "response": "Roses", "attachments": [1], "conversation_id": None}]
    file = tmp_path / "chat.json"
    run("export", chat, "--format", "json", "-o", str(file))
    done = CliRunner().invoke(chats, ["import", str(file), "-", "--json"], json.dumps(rows), obj=App())
    first, second = json.loads(done.stdout)
    assert (first["title"], first["message_count"], first["new"]) == ("Poem \x1b[31m", 2, True)
    assert (second["id"], second["new"]) == (chat, False)
    assert "warning: stdin: attachments: 1 in " in done.stderr
    assert len(history.conversations()) == 2


def test_import_reads_every_file_before_it_records_one(history: History, chat: str, tmp_path: Path) -> None:
    file, wrong = tmp_path / "chat.json", tmp_path / "wrong.json"
    run("export", chat, "--format", "json", "-o", str(file))
    wrong.write_text("{}")
    with pytest.raises(ImportRefused, match=f"cannot import {wrong}"):
        run("import", str(file), str(wrong))
    for missing in (str(tmp_path / "missing"), str(tmp_path), "a\x00b"):
        with pytest.raises(UsageError, match="cannot be read"):
            run("import", str(file), missing)
    assert len(history.conversations()) == 1


def test_import_does_not_wait_at_a_terminal() -> None:
    output, code = run_in_terminal(["chats", "import", "-"], {**os.environ, "TERM": "xterm"})
    assert (b"there is nothing on stdin" in output, code) == (True, 2)


def test_path(home: Path) -> None:
    assert run("path").stdout == f"{home / 'chats.db'}\n"


@pytest.mark.parametrize("ref", ["", "nothing", "\x1b]0;x\x07", "%", "0" * 5000])
def test_a_name_that_fits_nothing(ref: str, chat: str) -> None:
    for command in ("show", "export", "rename"):
        with pytest.raises(NotFound):
            run(command, ref, *(["title"] if command == "rename" else []))


@pytest.mark.parametrize("color", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "xterm"}], ids=str)
def test_nothing_of_a_hostile_chat_reaches_the_terminal(
    history: History, tmp_path: Path, color: dict[str, str]
) -> None:
    evil = add_turn(history, f"tower {EVIL}\nmore {EVIL}", f"answer {EVIL}", model=EVIL)
    file = str(tmp_path / f"f{EVIL.replace('/', '')}")
    exported = tmp_path / "chat.json"
    message = {"author": {"role": "user"}, "content": {"parts": [EVIL, {"content_type": EVIL}]}}
    exported.write_text(json.dumps([{"title": EVIL, "mapping": {EVIL: {"message": message}}}]))
    environ = {**os.environ, **color}
    for arguments, code in (
        (["list"], 0),
        (["list", "--json"], 0),
        (["show", evil], 0),
        (["show", evil, "--json"], 0),
        (["search", "tower"], 0),
        (["search", "answer", "--json"], 0),
        (["export", evil], 0),
        (["export", evil, "-o", file], 0),
        (["export", evil, "-o", file], 2),
        (["show", EVIL], 1),
        (["import", str(exported)], 0),
        (["import", str(exported), "--json"], 0),
        (["import", file], 9),
        (["import", EVIL], 2),
    ):
        output, exit_code = run_in_terminal(["chats", *arguments], environ)
        assert exit_code == code, output
        assert unexpected(output, () if color != {"TERM": "xterm"} else _OURS) == []


def test_the_scan_sees_what_gets_through() -> None:
    assert len(unexpected(EVIL.encode())) >= 10
