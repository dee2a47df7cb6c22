"""`llmchat models`: what is done with model files. The list of its commands; each subject has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping

import click

from llmchat_tui.cli.lazy import LazyGroup

_COMMANDS: Mapping[str, tuple[str, str]] = {}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def models() -> None:
    """Find, check, measure and make smaller models.

    `llmchat pull` downloads one, `llmchat ls` lists those that are here, `llmchat show` tells about one.
    """
