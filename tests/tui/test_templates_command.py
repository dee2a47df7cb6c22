"""`llmchat templates`: every command, and that nothing of a user is replaced or lost."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.tui.terminal import run_in_terminal

from llmchat_tui.cli import cli
from llmchat_tui.cli.app import App
from llmchat_tui.errors import TemplateInvalid, TemplateMissing, UsageError, UserError
from llmchat_tui.templates.finding import BUILT_IN


def run(*arguments: str, app: App | None = None) -> Result:
    return CliRunner().invoke(cli, ["templates", *arguments], obj=app or App(), catch_exceptions=False)


@pytest.fixture
def folder(home: Path) -> Path:
    folder = home / "templates"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def typing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that writes what stands in a file."""
    typed = tmp_path / "typed"
    program = tmp_path / "editor.py"
    program.write_text(
        f"import pathlib, sys\npathlib.Path(sys.argv[1]).write_text(pathlib.Path({str(typed)!r}).read_text())"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    return typed


def test_list(folder: Path) -> None:
    (folder / "mine.toml").write_text('description = "a\\u001b[31m"')
    (folder / "bad.toml").write_text("x = 1")
    lines = {line.split()[0]: line for line in run("list").stdout.splitlines()}
    assert len(lines) == 12
    assert lines["qa"].split(None, 3)[1:3] == ["built", "in"]
    assert lines["mine"].split()[1] == "yours"
    assert "\x1b" not in lines["mine"]
    assert "broken: " in lines["bad"]
    assert f"{folder}/bad.toml:1: unknown key x" in lines["bad"]


def test_list_json(folder: Path) -> None:
    (folder / "bad.toml").write_text("x = 1")
    found = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert found["translate"]["params"] == {"to": "English"}
    assert (found["translate"]["built_in"], found["translate"]["path"]) == (True, None)
    assert (found["bad"]["built_in"], found["bad"]["path"]) == (False, str(folder / "bad.toml"))
    assert found["bad"]["problem"]


def test_show() -> None:
    text = run("show", "transl", "-p", "to", "Latin", "--input", "Hello, $input").stdout
    assert text.startswith("translate: ")
    assert "  -p to     English\n" in text
    assert "--- system ---\nYou are a translator." in text
    assert text.endswith("--- user ---\nHello, $input\n\nTranslate the text above to Latin:\n")
    shown = json.loads(run("show", "math", "--json").stdout)
    assert shown["cot"] == "few-shot"
    assert "\nAnswer: 21" in shown["messages"][2]["text"]


def test_path(folder: Path) -> None:
    assert run("path").stdout == f"{folder}\n"
    assert run("path", "qa").stdout == f"{BUILT_IN / 'qa.toml'}\n"
    with pytest.raises(TemplateMissing):
        run("path", "none")


def test_check(folder: Path, tmp_path: Path) -> None:
    assert run("check").exit_code == 0
    (folder / "bad.toml").write_text('system = "a"\nvotes = "nine"')
    result = run("check")
    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 10
    assert f"{folder}/bad.toml:2: votes cannot be 'nine' — expected a whole number, got text" in result.stderr
    assert run("check", "qa", "math").stdout == "ok  qa\nok  math\n"
    assert run("check", "qa", str(tmp_path / "none.toml")).exit_code == 3
    assert run("check", "nothing").exit_code == 3


def test_new(folder: Path) -> None:
    assert run("new", "mine").stdout == f"{folder / 'mine.toml'}\n"
    assert "# [[shots]]" in (folder / "mine.toml").read_text()
    run("new", "other", "--from", "qa")
    assert (folder / "other.toml").read_text() == (BUILT_IN / "qa.toml").read_text()
    with pytest.raises(UsageError, match="there is a template mine already"):
        run("new", "mine")
    with pytest.raises(UsageError):
        run("new", "../mine")
    with pytest.raises(TemplateMissing):
        run("new", "more", "--from", "none")


def test_edit_copies_one_that_came_along(folder: Path, typing: Path) -> None:
    typing.write_text('system = "Mine."')
    before = (BUILT_IN / "qa.toml").read_text()
    run("edit", "qa")
    assert (folder / "qa.toml").read_text() == 'system = "Mine."'
    assert (folder / "qa.toml").stat().st_mode & 0o777 == 0o600
    assert (BUILT_IN / "qa.toml").read_text() == before


def test_edit_without_a_change_copies_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "true")
    assert run("edit", "qa").exit_code == 0
    assert list(folder.iterdir()) == []


def test_edit_keeps_what_is_broken_and_says_so(folder: Path, typing: Path) -> None:
    (folder / "mine.toml").write_text("x = 1")
    typing.write_text('system = "a"\nsytem = "b"')
    with pytest.raises(TemplateInvalid, match=r"mine\.toml:2: unknown key sytem — did you mean system"):
        run("edit", "mine")
    assert (folder / "mine.toml").read_text() == 'system = "a"\nsytem = "b"'
    typing.write_text('system = "a"')
    assert run("edit", "mine").exit_code == 0


def test_an_editor_that_fails_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "false")
    with pytest.raises(UserError, match="ended with exit code 1"):
        run("edit", "qa")
    assert list(folder.iterdir()) == []


def test_import(folder: Path, tmp_path: Path) -> None:
    role = tmp_path / "pirate.md"
    role.write_text("---\nmodel: x\n---\nTalk like a pirate.")
    result = run("import", str(role))
    assert result.stdout == f"{folder / 'pirate.toml'}\n"
    assert "model: x is left out" in result.stderr
    assert (folder / "pirate.toml").read_text() == 'system = "Talk like a pirate."\n'
    with pytest.raises(UsageError, match="there is a template pirate already"):
        run("import", str(role))
    assert run("import", str(role), "--name", "sailor").stdout.endswith("sailor.toml\n")


def test_rm(folder: Path) -> None:
    (folder / "qa.toml").write_text("x = 1")
    with pytest.raises(UsageError, match="cannot ask before removing"):
        run("rm", "qa")
    assert run("rm", "qa", "--yes").exit_code == 0
    assert list(folder.iterdir()) == []
    with pytest.raises(UsageError, match="the template qa came along"):
        run("rm", "qa", "--yes")
    with pytest.raises(TemplateMissing):
        run("rm", "none", "--yes")


@pytest.mark.parametrize("before", ["templates show", "ask -t"])
def test_a_shell_completes_names(before: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "quick.toml").touch()
    monkeypatch.setenv("_LLMCHAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"llmchat {before} q")
    monkeypatch.setenv("COMP_CWORD", "3")
    result = CliRunner().invoke(cli, [], prog_name="llmchat")
    assert [line.partition(",")[2] for line in result.stdout.splitlines()] == ["qa", "quick"]


def test_on_a_terminal_new_opens_the_editor(folder: Path, typing: Path) -> None:
    typing.write_text('system = "Typed."')
    output, code = run_in_terminal(["templates", "new", "mine"], os.environ)
    assert (output.strip().decode(), code) == (str(folder / "mine.toml"), 0)
    assert (folder / "mine.toml").read_text() == 'system = "Typed."'


def test_a_file_whose_name_is_no_text_is_a_template_all_the_same(folder: Path) -> None:
    os.fdopen(os.open(os.fsencode(folder) + b"/a\xffb.toml", os.O_CREAT | os.O_WRONLY), "w").close()
    (found,) = (row for row in json.loads(run("list", "--json").output) if not row["built_in"])
    assert (found["name"], found["problem"]) == ("a\ufffdb", None)
    for name in ("a\udcffb", "a\ufffdb", str(folder / "a\udcffb.toml")):
        assert json.loads(run("show", name, "--json").output)["name"] == "a\ufffdb"
    assert run("path", "a\udcffb").exit_code == 0
    run("rm", "a\udcffb", "--yes")
    assert list(folder.iterdir()) == []


def test_a_parameter_that_is_no_text_is_shown_as_one() -> None:
    shown = run("show", "translate", "-p", "to", "a\udcffb", "--json")
    assert json.loads(shown.output)["messages"][-1]["text"].endswith("to a\ufffdb:")


def test_a_file_that_is_missing_is_no_matter_of_the_list(tmp_path: Path) -> None:
    with pytest.raises(TemplateMissing) as caught:
        run("import", str(tmp_path / "nope.md"))
    assert caught.value.hint == ""
