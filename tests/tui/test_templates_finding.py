"""Which templates there are: the user's before those that come along, names cut short, broken ones told."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmchat_tui.errors import TemplateInvalid, TemplateMissing
from llmchat_tui.templates.applying import recipe_from
from llmchat_tui.templates.finding import BUILT_IN, SKELETON, all_templates, find_template
from llmchat_tui.templates.reading import read_template, template_of
from llmchat_tui.templates.showing import example_messages

NAMES = [
    "brainstorm", "classify", "commit-message", "explain", "extract", "math", "qa", "rewrite", "summarize", "translate",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


def test_those_that_come_along(tmp_path: Path) -> None:
    found = all_templates(tmp_path / "none")
    assert [row.name for row in found] == NAMES
    assert all(row.path is None and row.template and row.description and not row.problem for row in found)


@pytest.mark.parametrize("name", NAMES)
def test_one_that_comes_along_can_be_asked_with(name: str, tmp_path: Path) -> None:
    template = find_template(name, tmp_path)
    assert template.path is None
    recipe = recipe_from(template, {})
    assert "a question" in recipe.wrapped("a question")
    assert example_messages(template, {}, "a question")[-1].text == recipe.wrapped("a question")
    assert all(shot.input.strip() == shot.input for shot in template.shots)
    assert template.sampling["temperature"] == 0 or name in ("brainstorm", "explain")


def test_the_skeleton_is_a_template_and_so_is_each_of_its_keys() -> None:
    assert read_template(SKELETON).description
    lines = SKELETON.read_text().splitlines()
    bare = [line.removeprefix("# ") for line in lines if not line.startswith("# ") or "=" in line or "[" in line]
    for key in ("num_shots", "cot", "votes", "think_budget", "schema", "choices", "format"):
        (line,) = (line for line in bare if line.startswith(f"{key} ="))
        template_of(line, "a", None)


def test_the_files_are_those_of_the_package() -> None:
    assert sorted(path.stem for path in BUILT_IN.iterdir()) == NAMES


def test_the_users_own_go_first(folder: Path) -> None:
    (folder / "qa.toml").write_text('system = "Mine."')
    assert find_template("qa", folder).system == "Mine."
    assert find_template("q", folder).path == folder / "qa.toml"
    assert [row.path for row in all_templates(folder) if row.name == "qa"] == [folder / "qa.toml"]


def test_a_name_may_be_cut_short_where_one_begins_so(folder: Path) -> None:
    (folder / "mine.toml").touch()
    (folder / "mine-too.toml").touch()
    assert find_template("mine", folder).name == "mine"
    assert find_template("mine-", folder).name == "mine-too"
    with pytest.raises(TemplateMissing, match="several templates begin with 'mi' — mine, mine-too"):
        find_template("mi", folder)


@pytest.mark.parametrize(
    ("name", "why"), [("sumarize", "did you mean summarize"), ("", ""), ("../qa", ""), ("zzz", "")]
)
def test_a_name_that_fits_none(folder: Path, name: str, why: str) -> None:
    with pytest.raises(TemplateMissing) as caught:
        find_template(name, folder)
    assert why in caught.value.why
    assert caught.value.hint == "llmchat templates list"


def test_a_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other.toml").write_text('system = "Other."')
    monkeypatch.chdir(folder)
    assert find_template("other.toml", folder / "none").system == "Other."
    assert find_template(str(folder / "other.toml"), folder / "none").name == "other"
    with pytest.raises(TemplateMissing, match="there is no file"):
        find_template("none.toml", folder)


def test_broken_ones_are_told_and_hide_nothing(folder: Path) -> None:
    (folder / "bad.toml").write_text("a = ")
    (folder / "gone.toml").symlink_to(folder / "nowhere")
    (folder / "odd.toml").mkdir()
    (folder / ".hidden.toml").touch()
    (folder / "notes.txt").touch()
    found = {row.name: row for row in all_templates(folder)}
    assert sorted(found) == sorted([*NAMES, "bad", "gone", "odd"])
    assert all(str(found[name].problem).startswith(("cannot", "there", str(folder))) for name in ("bad", "gone", "odd"))
    with pytest.raises(TemplateInvalid):
        find_template("bad", folder)


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TemplateMissing, match="cannot read"):
        all_templates(tmp_path / "file")


def test_a_parameter_that_is_needed_shows_as_its_name() -> None:
    template = template_of('user = "$input to $to"\n[params]\nto = ""', "a", None)
    assert example_messages(template, {}, "q")[0].text == "q to <to>"
    assert example_messages(template, {"to": "x"}, "q")[0].text == "q to x"
