"""Templates out of aichat's roles and Ollama's Modelfiles, and what of them is told to be lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateInvalid, TemplateMissing
from llmchat_tui.templates.importing import import_template
from llmchat_tui.templates.modelfile import is_modelfile, read_modelfile
from llmchat_tui.templates.reading import template_of
from llmchat_tui.templates.role import read_role
from llmchat_tui.templates.values import Template
from llmchat_tui.templates.writing import as_toml

ROLE = """\
---
model: openai:gpt-4
temperature: 0.2
top_p: 2
---
Translate to emoji, $5 each.

### INPUT:
Happy birthday
### OUTPUT:
🎂
### INPUT:
two
lines
### OUTPUT:
2
"""
MODELFILE = '''\
# made by hand
FROM llama3.2
PARAMETER temperature 1
PARAMETER num_ctx 4096
PARAMETER num_predict 42
PARAMETER top_k many
parameter stop "<|eot|>"
PARAMETER stop User:
TEMPLATE """{{ .Prompt }}
SYSTEM not this one
"""
SYSTEM """You are Mario.

Answer as Mario."""
MESSAGE user Is Toronto in Canada?
MESSAGE assistant yes
MESSAGE user """Is
Ontario?"""
MESSAGE assistant "yes!"
MESSAGE user and then?
'''


def imported(tmp_path: Path, name: str, text: str) -> tuple[Template, tuple[str, ...]]:
    path = tmp_path / name
    path.write_text(text, "utf-8", newline="")
    return import_template(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_role_with_examples(tmp_path: Path, end: str) -> None:
    template, warnings = imported(tmp_path, "emoji.md", ROLE.replace("\n", end))
    assert template == Template(
        "emoji",
        system="Translate to emoji, $5 each.",
        shots=(Shot("Happy birthday", "🎂"), Shot("two\nlines", "2")),
        sampling={"temperature": 0.2},
    )
    assert [warning.partition(" is left out")[0] for warning in warnings] == ["model: openai:gpt-4", "top_p: 2"]


def test_a_role_with_a_place_for_the_input(tmp_path: Path) -> None:
    template, warnings = imported(tmp_path, "emoji.md", "convert __INPUT__s to $emoji\n")
    assert (template.system, warnings) == ("", ())
    read = template_of(as_toml(template), "emoji", None)
    assert read == template
    from llmchat_tui.templates.applying import recipe_from

    assert recipe_from(read, {}).wrapped("joy") == "convert joys to $emoji"


def test_examples_that_are_no_pairs_stay_in_the_prompt(tmp_path: Path) -> None:
    template, warnings = imported(tmp_path, "a.md", "Say it.\n### INPUT:\nx\n")
    assert (template.system, template.shots) == ("Say it.\n### INPUT:\nx", ())
    assert len(warnings) == 1


def test_a_modelfile(tmp_path: Path) -> None:
    template, warnings = imported(tmp_path, "Modelfile", MODELFILE)
    assert template == Template(
        "Modelfile",
        system="You are Mario.\n\nAnswer as Mario.",
        shots=(Shot("Is Toronto in Canada?", "yes"), Shot("Is\nOntario?", "yes!")),
        sampling={"temperature": 1.0, "max_tokens": 42, "stop": ("<|eot|>", "User:")},
    )
    assert [warning.partition(" is left out")[0] for warning in warnings] == [
        "PARAMETER num_ctx 4096",
        "PARAMETER top_k many",
        "TEMPLATE",
        "MESSAGE user",
    ]


def test_what_is_a_modelfile() -> None:
    assert is_modelfile("\n# a\n  SYSTEM hello")
    assert not is_modelfile("From now on you are a pirate.")
    assert not is_modelfile("Be brief.\nFROM here")


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    with pytest.raises(TemplateInvalid, match="there is nothing in it"):
        imported(tmp_path, "a.md", "\n")
    with pytest.raises(TemplateInvalid, match="there is nothing in it"):
        imported(tmp_path, "a.modelfile", "FROM x\nLICENSE y\n")
    with pytest.raises(TemplateMissing):
        import_template(tmp_path / "none.md")
    with pytest.raises(TemplateInvalid, match="it is a directory"):
        import_template(tmp_path)


PIECES = st.sampled_from(
    [
        "### INPUT:",
        "### OUTPUT:",
        "__INPUT__",
        "---\n",
        "SYSTEM ",
        "MESSAGE user ",
        "MESSAGE assistant ",
        '"""',
        "$a",
        "x",
    ]
)


@given(st.lists(PIECES | st.just("\n"), max_size=12).map("".join))
def test_whatever_is_imported_can_be_read_again(text: str) -> None:
    for read in (read_role, read_modelfile):
        template = read(text, "a", [])
        assert template_of(as_toml(template), "a", None) == replace(template)
