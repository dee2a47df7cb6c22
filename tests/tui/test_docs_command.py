"""`llmchat docs`: folders become collections, are kept up to date, listed, exported and forgotten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.tui.asking import Asked, Opened, ask, captured, environment
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.events import Progress
from llmchat_rag.store import Library
from llmchat_rag.types import Cancelled, Embedder
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
from llmchat_tui.cli.docs_indexing import progress_line, time_text

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

CHILD = [sys.executable, str(Path(__file__).with_name("docs_child.py"))]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of three notes and two things that are no notes."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "rome.md").write_text("# Rome in a day\n\n## The Forum\n\nThe Forum opens at nine in the morning.\n")
    (folder / "bread.md").write_text("# Bread without kneading\n\nFold the dough four times, then wait.\n")
    (folder / "sub" / "engine.txt").write_text("The engine keeps the model loaded for five minutes.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    (folder / ".env").write_text("TOKEN=secret")
    return folder


def docs(home: Path, *arguments: str) -> Asked:
    return ask(home, *arguments, command="docs")


def added(home: Path, folder: Path, *arguments: str) -> Asked:
    done = docs(home, "add", str(folder), *arguments)
    assert done.code == 0, done.err
    return done


def listed(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(docs(home, "ls", "--json").out)["collections"]
    return found


def test_a_folder_becomes_a_collection_of_its_name(home: Path, notes: Path) -> None:
    done = added(home, notes)
    assert done.out.startswith("notes: 3 files, 3 passages · 3 read, 0 unchanged, 0 removed · 1 left out · 1 failed")
    assert "llmchat: warning: notes: broken.pdf: " in done.err
    (row,) = listed(home)
    assert (row["name"], row["files"], row["passages"], row["failed"]) == ("notes", 3, 3, 1)
    assert "notes" in docs(home, "ls").out
    assert "1 collection, 3 passages" in docs(home, "ls").out


def test_what_is_left_out_is_told_when_it_is_asked_for(home: Path, notes: Path) -> None:
    assert ".env" not in added(home, notes).err
    assert ".env" in docs(home, "update", "notes", "--verbose").err


def test_a_folder_that_is_added_again_keeps_its_name_and_rules(home: Path, notes: Path) -> None:
    added(home, notes, "-d", "mine", "--exclude", "sub/")
    again = added(home, notes)
    assert again.out.startswith("mine: 2 files, 2 passages · 0 read, 2 unchanged")
    (row,) = listed(home)
    assert row["exclude"] == ["sub/"]
    added(home, notes, "--exclude", "bread.md")
    assert listed(home)[0]["exclude"] == ["bread.md"]


def test_one_file_is_a_collection(home: Path, notes: Path) -> None:
    added(home, notes / "rome.md")
    assert listed(home)[0]["name"] == "rome"
    (hit,) = json.loads(docs(home, "search", "Forum", "--json").out)["passages"]
    assert hit["source"] == "rome.md:5"


def test_json_of_an_update(home: Path, notes: Path) -> None:
    (facts,) = json.loads(added(home, notes, "--json").out)
    assert (facts["collection"], facts["indexed"], facts["left_out"]) == ("notes", 3, 1)
    assert [one["path"] for one in facts["failed"]] == ["broken.pdf"]


def test_show_lists_files_and_failures_with_their_reasons(home: Path, notes: Path) -> None:
    added(home, notes)
    rows = docs(home, "show", "notes").out.splitlines()
    assert [row.split()[1] for row in rows] == ["bread.md", "broken.pdf", "rome.md", "sub/engine.txt"]
    (failed,) = docs(home, "show", "notes", "--failed").out.splitlines()
    assert "broken.pdf  failed: " in failed
    (document,) = [one for one in json.loads(docs(home, "show", "notes", "--json").out) if one["title"].startswith("R")]
    assert (document["title"], document["status"]) == ("Rome in a day", "indexed")


def test_an_update_finds_what_changed(home: Path, notes: Path) -> None:
    added(home, notes)
    (notes / "bread.md").unlink()
    (notes / "tea.md").write_text("# Tea\n\nThree minutes, not longer.\n")
    done = docs(home, "update")
    assert done.out.startswith("notes: 3 files, 3 passages · 1 read, 2 unchanged, 1 removed")


def test_half_of_the_files_are_not_forgotten_unasked(home: Path, notes: Path) -> None:
    added(home, notes)
    (notes / "bread.md").unlink()
    (notes / "rome.md").unlink()
    refused = docs(home, "update")
    assert refused.code == 1
    assert "hint: llmchat docs update notes --accept-missing" in refused.err
    assert listed(home)[0]["files"] == 3
    assert docs(home, "update", "--accept-missing").code == 0
    assert listed(home)[0]["files"] == 1


def test_a_folder_that_has_gone_keeps_the_others_from_nothing(home: Path, notes: Path, tmp_path: Path) -> None:
    other = tmp_path / "a-disk"
    other.mkdir()
    (other / "one.md").write_text("# One\n\nA note.\n")
    added(home, other)
    added(home, notes)
    (other / "one.md").unlink()
    other.rmdir()
    done = docs(home, "update")
    assert done.code == 3
    assert "cannot be read" in done.err
    assert done.out.startswith("notes: 3 files")
    assert len(listed(home)) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("search", "x"), 3, "llmchat docs add PATH"),
        (("update",), 3, "llmchat docs add PATH"),
        (("show", "none"), 3, "llmchat docs add PATH"),
        (("add", "/no/such/folder"), 3, "there is no such folder or file"),
        (("add", ".", "..", "-d", "two"), 2, "--collection names one folder"),
        (("add", ".", "-d", " "), 2, "the name of a collection is empty"),
        (("add", "/no/such"), 3, "hint: ls /"),
        (("search", " ", ""), 2, "the question is empty"),
        (("eval", "--data", ".", "-d", "x"), 2, "exclude each other"),
        (("eval", "--data", "/no/such"), 3, "BEIR"),
    ],
    ids=str,
)
def test_what_cannot_be_done_says_what_helps(home: Path, arguments: Sequence[str], code: int, told: str) -> None:
    done = docs(home, *arguments)
    assert (done.code, done.out) == (code, "")
    assert told in done.err


def test_an_unknown_collection_is_exit_3_and_changes_nothing(home: Path, notes: Path) -> None:
    added(home, notes)
    for arguments in (("search", "x", "-d", "nope"), ("rm", "--yes", "notes", "nope"), ("update", "notes", "nope")):
        done = docs(home, *arguments)
        assert (done.code, "there is no collection nope" in done.err) == (3, True), arguments
    assert listed(home)[0]["files"] == 3


def test_a_name_belongs_to_one_folder(home: Path, notes: Path, tmp_path: Path) -> None:
    added(home, notes)
    (tmp_path / "other" / "notes").mkdir(parents=True)
    done = docs(home, "add", str(tmp_path / "other" / "notes"))
    assert (done.code, "there is a collection notes already" in done.err) == (2, True)


def test_without_an_embedding_model_nothing_is_begun_and_the_command_is_named(home: Path, notes: Path) -> None:
    environ = environment(home, LLMCHAT_EMBEDDER="intfloat/e5-small-v2", HF_HOME=str(home / "none"))
    with captured(None) as (_, err):
        code = run(App(environ=environ), ["docs", "add", str(notes)])
    assert code == 3
    assert "hint: llmchat pull intfloat/e5-small-v2" in err.getvalue().decode()
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_rm_forgets_and_leaves_the_files(home: Path, notes: Path) -> None:
    added(home, notes)
    refused = docs(home, "rm", "notes")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert docs(home, "rm", "notes", "--yes").code == 0
    assert listed(home) == []
    assert (notes / "rome.md").is_file()


def test_export_has_every_passage_with_its_place(home: Path, notes: Path, tmp_path: Path) -> None:
    added(home, notes)
    rows = [json.loads(line) for line in docs(home, "export", "notes").out.splitlines()]
    assert [row["path"] for row in rows] == ["bread.md", "rome.md", "sub/engine.txt"]
    rome = rows[1]
    assert Path(rome["file"]).read_text()[rome["start"] : rome["end"]] == rome["text"]
    file = tmp_path / "out.jsonl"
    assert docs(home, "export", "notes", str(file)).code == 0
    assert [json.loads(line) for line in file.read_text().splitlines()] == rows
    assert docs(home, "export", "notes", str(file)).code == 2


class _Interrupting(HashEmbedder):
    """Is interrupted in its first batch, and waits until that has been heard."""

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        assert cancelled is not None
        os.kill(os.getpid(), signal.SIGINT)
        until = time.monotonic() + 10
        while not cancelled():
            assert time.monotonic() < until
        raise Cancelled


def test_ctrl_c_stops_and_the_next_run_goes_on(home: Path, notes: Path) -> None:
    app = App(environ=environment(home), open_embedder=lambda *_: _Interrupting())
    with captured(None) as (out, err):
        code = run(app, ["docs", "add", str(notes)])
    assert (code, out.getvalue()) == (130, b"")
    assert "what was read is kept" in err.getvalue().decode()
    assert docs(home, "update").out.startswith("notes: 3 files, 3 passages · 3 read")


def test_doctor(home: Path, notes: Path) -> None:
    added(home, notes)
    assert docs(home, "doctor").out == "All is well: 3 passages.\n"
    assert json.loads(docs(home, "doctor", "--json").out) == {"ok": True, "repaired": False, "findings": []}


def test_a_damaged_store_is_exit_7_and_is_set_aside_only_when_asked(home: Path, notes: Path) -> None:
    added(home, notes)
    store = home / "docs" / "store.db"
    for beside in home.glob("docs/store.db-*"):
        beside.unlink()
    data = bytearray(store.read_bytes())
    data[4096 : 4096 * 6] = bytes(4096 * 5)
    store.write_bytes(data)
    broken = docs(home, "ls")
    assert (broken.code, "docs doctor --repair" in broken.err) == (7, True)
    assert docs(home, "doctor").code in (1, 7)
    repaired = docs(home, "doctor", "--repair", "--yes")
    assert repaired.code == 0, repaired.err
    assert "docs update reads" in repaired.out
    assert list(home.glob("docs/store.db.damaged-1"))


def test_another_programs_file_is_left_alone(home: Path) -> None:
    (home / "docs").mkdir(parents=True)
    (home / "docs" / "store.db").write_text("not ours at all")
    assert docs(home, "doctor", "--repair", "--yes").code == 7
    assert (home / "docs" / "store.db").read_text() == "not ours at all"


def child_environment(home: Path) -> dict[str, str]:
    return {**os.environ, **environment(home)}


def test_watch_follows_a_folder_until_ctrl_c(home: Path, notes: Path) -> None:
    added(home, notes)
    with subprocess.Popen(
        [*CHILD, "docs", "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(home),
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("notes: 3 files, 3 passages · 0 read")
        (notes / "tea.md").write_text("# Tea\n\nThree minutes.\n")
        assert child.stdout.readline().startswith("notes: 4 files, 4 passages · 1 read")
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130


def test_a_terminal_gets_no_control_characters_of_file_names(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evil\x1b[31m"
    folder.mkdir()
    (folder / "a\x1b]0;t\x07\u202egpj.md").write_text("# T\x1b[35mitle\n\nWords \x9b35m of a note.\n")
    (folder / "b\x1b[2J.pdf").write_bytes(b"%PDF-1.7")
    environ = {**environment(home), "PATH": os.environ["PATH"]}
    commands = (["add", str(folder)], ["ls"], ["show", folder.name], ["search", "words"], ["rm", folder.name])
    for command in commands:
        output, _ = run_in_terminal(
            ["docs", *command], environ, program=CHILD, typed=b"n\n" if command[0] == "rm" else b""
        )
        assert unexpected(output, ("\x1b[2m", "\x1b[33m", "\x1b[0m", "\x1b[31m")) == [], command


def test_progress_tells_files_speed_and_time_left() -> None:
    assert progress_line(Progress(3, 40, 120, 61.2, 95.0)) == "3 of 40 files · 120 passages, 61 a second · 2 min left"
    assert progress_line(Progress(0, 1, 0, 0.0, None)) == "0 of 1 file"
    assert [time_text(seconds) for seconds in (0.4, 89, 90, 3000, 7800)] == [
        "0 s",
        "89 s",
        "2 min",
        "50 min",
        "2 h 10 min",
    ]


def test_the_embedder_is_opened_once_and_only_where_it_is_needed(home: Path, notes: Path) -> None:
    opened: list[tuple[str, bool]] = []

    def open_embedder(spec: str, _: Path, passages: bool) -> Embedder:
        opened.append((spec, passages))
        return HashEmbedder()

    def call(*arguments: str) -> None:
        app = App(environ=environment(home, LLMCHAT_EMBEDDER="mine"), make_engine=Opened(), open_embedder=open_embedder)
        with captured(None):
            assert run(app, ["docs", *arguments]) == 0

    call("add", str(notes), str(notes / "sub"))
    assert opened == [("mine", True)]
    call("ls")
    call("show", "notes")
    assert len(opened) == 1
    call("search", "dough")
    assert opened[1:] == [("mine", False)]


def test_another_model_takes_the_passages_of_all_collections_and_says_which_wait(home: Path, notes: Path) -> None:
    other = notes.parent / "my other notes"
    other.mkdir()
    (other / "one.md").write_text("# One\n\nA note.\n")
    added(home, other)
    added(home, notes)

    def call(*arguments: str) -> Asked:
        app = App(environ=environment(home), open_embedder=lambda *_: HashEmbedder(seed=1))
        with captured(None) as (out, err):
            code = run(app, ["docs", *arguments])
        return Asked(code, out.getvalue().decode(), err.getvalue().decode())

    refused = call("update", "notes")
    assert (refused.code, "hint: llmchat docs update --force" in refused.err) == (3, True)
    done = call("update", "notes", "--force")
    assert (done.code, "3 read" in done.out) == (0, True)
    assert "1 file cannot be searched until read again: llmchat docs update 'my other notes'" in done.err
    again = call("update")
    assert (again.code, again.err.count("read again")) == (0, 0)


def test_a_folder_that_is_gone_can_be_forgotten(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a disk"
    folder.mkdir()
    (folder / "one.md").write_text("# One\n\nA note.\n")
    added(home, folder)
    (folder / "one.md").unlink()
    missing = docs(home, "update")
    assert "hint: llmchat docs update 'a disk' --accept-missing" in missing.err
    folder.rmdir()
    gone = docs(home, "update", "--accept-missing")
    assert (gone.code, "hint: mount its disk, or forget it: llmchat docs rm 'a disk'" in gone.err) == (3, True)


def test_while_another_process_indexes_nothing_is_begun(home: Path, notes: Path) -> None:
    with Library(home / "docs") as library, library.writing():
        done = docs(home, "add", str(notes))
    assert (done.code, done.out) == (7, "")
    assert "the documents are being indexed" in done.err
    assert listed(home) == []
