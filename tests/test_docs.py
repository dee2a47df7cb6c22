"""The pages that repeat the code: docs/cli.md, docs/install.md, and the flags that .ci/install.sh passes on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from docs.generate import HELP_WIDTH, cli_page, install_page

from llmchat_tui.cli.install_hint import CMAKE_FLAGS, Accelerator, install_commands

ROOT = Path(__file__).parents[1]


@pytest.fixture
def toy() -> click.Group:
    @click.group()
    def toy() -> None:
        """A toy."""

    @toy.command()
    @click.option("--loud", is_flag=True, help="Shout.")
    @click.argument("name")
    def greet(name: str, loud: bool) -> None:
        """Greets someone."""

    @toy.command(hidden=True)
    def secret() -> None:
        """Not shown."""

    @toy.group()
    def nested() -> None:
        """Has commands of its own."""

    @nested.command()
    def deep() -> None:
        """Far down."""

    return toy


def test_every_visible_command_has_its_section(toy: click.Group) -> None:
    page = cli_page(toy, "toy")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == ["toy", "toy greet", "toy nested", "toy nested deep"]
    assert "Usage: toy greet [OPTIONS] NAME" in page
    assert "--loud  Shout." in page


def test_the_page_does_not_depend_on_the_terminal(toy: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    page = cli_page(toy, "toy")
    monkeypatch.setenv("COLUMNS", "40")
    assert cli_page(toy, "toy") == page
    assert max(map(len, page.splitlines())) <= HELP_WIDTH


def test_the_install_page_says_what_the_code_says() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert install_page(page) == page
    assert install_page(page.replace("-DGGML_CUDA=on", "-DGGML_CUDA=off")) == page


def test_an_install_page_without_an_accelerator_is_refused() -> None:
    with pytest.raises(ValueError, match="has blocks for"):
        install_page("<!-- commands: cuda -->\n<!-- end -->\n")


@pytest.mark.parametrize("accelerator", CMAKE_FLAGS)
def test_an_install_command_is_one_shell_line_that_compiles_anew(accelerator: Accelerator) -> None:
    commands = install_commands(accelerator)
    assert list(commands) == ["pipx", "uv", "pip"]
    for command in commands.values():
        words = shlex.split(command)
        assert words[0] == f"CMAKE_ARGS={CMAKE_FLAGS[accelerator]}"
        assert words[-1].startswith("llmchat-tui[offline] @ git+https://")
        assert re.search(r"--no-cache(-dir)? ", command)
        assert re.search(r"--no-binary(-package)? llama-cpp-python", command)
        assert "constraints.txt" in command


def test_the_setup_script_passes_the_same_flags() -> None:
    script = (ROOT / ".ci" / "install.sh").read_text(encoding="utf-8")
    assert dict(re.findall(r'^ +(\w+)\) echo "(-D\S+)"', script, re.MULTILINE)) == CMAKE_FLAGS
