"""Writes the pages that only repeat the code: docs/cli.md, and the commands in docs/install.md.

Knows click and the command tree; runs no command. `--check` writes nothing and fails where a page is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from llmchat_tui.cli.install_hint import CMAKE_FLAGS, Accelerator, install_commands

HERE = Path(__file__).parent
HELP_WIDTH = 100
"""Fixed, so that the page does not depend on the terminal it was written from."""

_CLI_INTRO = "# The command line\n\nWritten by docs/generate.py from `--help`; change the code, then run `make docs`.\n"
_BLOCK = re.compile(r"(?<=<!-- commands: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def cli_page(command: click.Command, name: str) -> str:
    """Returns one Markdown section for a command and each command below it.

    Args:
        command: The root of the command tree.
        name: What the user types to start it.
    """
    return _CLI_INTRO + "".join(_sections(command, name, None))


def install_page(template: str) -> str:
    """Returns the page with the commands of each accelerator written anew between its markers.

    Args:
        template: The page as it stands, with `<!-- commands: cuda -->` … `<!-- end -->` around each block.

    Raises:
        ValueError: An accelerator has no block, or a block has an unknown accelerator.
    """
    found = {match[1] for match in _BLOCK.finditer(template)}
    if found != set(CMAKE_FLAGS):
        raise ValueError(f"docs/install.md has blocks for {sorted(found)}, the code knows {sorted(CMAKE_FLAGS)}")
    blocks: dict[str, str] = {accelerator: _command_block(accelerator) for accelerator in CMAKE_FLAGS}
    return _BLOCK.sub(lambda match: f"{match[1]}{match[2]}{blocks[match[1]]}", template)


def main(arguments: list[str]) -> int:
    """Writes or checks every generated page.

    Args:
        arguments: Empty to write, or `--check`.

    Returns:
        0, or 1 where a checked page is out of date.
    """
    from llmchat_tui.cli import cli

    install = HERE / "install.md"
    pages = {HERE / "cli.md": cli_page(cli, "llmchat"), install: install_page(install.read_text(encoding="utf-8"))}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(pages[path], encoding="utf-8")
        return 0
    for path in stale:
        print(f"docs/{path.name} does not say what the code says; hint: make docs", file=sys.stderr)
    return 1 if stale else 0


def _sections(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """Yields the section of a command, then those of the commands below it, hidden ones left out."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=HELP_WIDTH, color=False)
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if not isinstance(command, click.Group):
        return
    for child_name in command.list_commands(context):
        child = command.get_command(context, child_name)
        if child is not None and not child.hidden:
            yield from _sections(child, child_name, context)


def _command_block(accelerator: Accelerator) -> str:
    """Returns the shell block of one accelerator, one command for each installer."""
    lines = (f"# {installer}\n{command}" for installer, command in install_commands(accelerator).items())
    return "```sh\n" + "\n\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
