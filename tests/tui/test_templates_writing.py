"""Templates as TOML: what is written reads as it was, and files are private, whole, and never replaced unasked."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.templates.finding import find_template
from llmchat_tui.templates.reading import read_template, template_of
from llmchat_tui.templates.values import Template
from llmchat_tui.templates.writing import as_toml, save_template

TEXT = st.text(max_size=20) | st.text(alphabet="'\"\\\n\r\t$ a\x7f\x00é", max_size=12)
SAID = TEXT.filter(str.strip)
SHOTS = st.lists(st.builds(Shot, SAID, SAID, SAID, st.booleans()), max_size=3).map(tuple)
SAMPLING = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 100),
        "top_k": st.integers(0, 2**31 - 1),
        "seed": st.integers(0, 2**32 - 2),
        "stop": st.lists(TEXT.filter(bool), min_size=1, max_size=3).map(tuple),
    },
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name != "input")


WORDS = st.lists(st.sampled_from(["$$", "\n", " in ", "'", "${input}", "ß"]), max_size=4).map("".join)
PLAIN = st.builds(
    Template,
    st.just("mine"),
    TEXT,
    TEXT,
    WORDS.map(lambda words: f"$input {words}") | st.just(""),
    st.dictionaries(NAMES, TEXT, max_size=2),
    SHOTS,
    st.none() | st.integers(0, 1000),
    st.sampled_from(["order", "random", "similar"]),
    st.just("off"),
    st.just(0),
    st.sampled_from(["auto", "on", "off"]),
    st.none() | st.integers(0, 9),
    st.booleans(),
    st.sampled_from(["", '{"type": "string"}']),
    sampling=SAMPLING,
)
REASONED = st.builds(
    lambda template, votes: replace(
        template, cot="few-shot" if template.shots and template.num_shots != 0 else "zero-shot", votes=votes
    ),
    PLAIN,
    st.integers(0, 16),
)
GROUNDED = st.builds(
    lambda template, collections, k: replace(template, collections=tuple(collections), docs_k=k),
    PLAIN,
    st.lists(TEXT, max_size=2),
    st.none() | st.integers(1, 100),
)
GRAMMAR = PLAIN.map(lambda template: replace(template, schema="", grammar='root ::= "a\\n" |\n  "b"'))


@given(REASONED | GROUNDED | GRAMMAR)
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_as_it_was(template: Template) -> None:
    assert template_of(as_toml(template), "mine", None) == template


def test_a_form_that_is_left_to_a_parameter() -> None:
    plain = Template("mine", params={"what": "a"})
    for template in (replace(plain, schema="$what"), replace(plain, grammar="$what")):
        assert template_of(as_toml(template), "mine", None) == template


def test_a_text_of_several_lines_is_written_on_several() -> None:
    assert as_toml(Template("a", system="one\ntwo")) == "system = '''\none\ntwo'''\n"
    assert as_toml(Template("a", system="it's\n'")) == "system = \"it's\\n'\"\n"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "templates"
    template = Template("mine", system="Be brief.")
    path = save_template(template, folder, replace=False)
    assert path == folder / "mine.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert find_template("mine", folder) == replace(template, path=path)


def test_one_that_is_there_is_replaced_only_where_that_is_said(tmp_path: Path) -> None:
    path = save_template(Template("mine", system="a"), tmp_path, replace=False)
    with pytest.raises(UsageError, match="there is a template mine already") as caught:
        save_template(Template("mine", system="b"), tmp_path, replace=False)
    assert "llmchat templates edit mine" in caught.value.hint
    assert read_template(path).system == "a"
    save_template(Template("mine", system="b"), tmp_path, replace=True)
    assert read_template(path).system == "b"


def test_a_link_that_leads_nowhere_counts_as_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError):
        save_template(Template("mine"), tmp_path, replace=False)


@pytest.mark.parametrize("name", ["", ".", ".hidden", "a/b", "../a", "-a", "a\nb", "a\0", "a.toml", "é" * 101])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        save_template(Template(name), tmp_path, replace=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnwritable):
        save_template(Template("mine"), tmp_path / "file", replace=False)
