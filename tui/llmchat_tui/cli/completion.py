"""`llmchat completion`: the script that lets a shell complete commands and flags. Knows no command by name."""

from __future__ import annotations

import click

from llmchat_tui.cli.common import print_text

_PROGRAM = "llmchat"
_VARIABLE = "_LLMCHAT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell; bash: eval "$(llmchat completion bash)"."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        raise click.BadParameter(f"no completion for {shell}")
    print_text(script(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
