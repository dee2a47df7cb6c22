"""`llmchat models`: what is done with model files. The list of its commands; each subject has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping

import click

from llmchat_tui.cli.lazy import LazyGroup

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "alias": ("llmchat_tui.cli.models_alias:alias", "List, show, set and forget other names of models."),
    "fit": ("llmchat_tui.cli.models_fit:fit", "Tell whether a model fits into memory, and how fast it would be."),
    "list": ("llmchat_tui.cli.ls:ls", "List the models on this machine, as llmchat ls does."),
    "options": ("llmchat_tui.cli.models_options:options", "Show and set what one model has to itself."),
    "search": ("llmchat_tui.cli.models_search:search", "Search the hub for models in GGUF files."),
    "verify": ("llmchat_tui.cli.models_verify:verify", "Check whether model files are intact."),
    "compare": (
        "llmchat_tui.cli.models_compare:compare",
        "Measure models against each other: what A can, and what B loses against it.",
    ),
    "perplexity": (
        "llmchat_tui.cli.models_perplexity:perplexity",
        "Measure how well a model foretells a text: lower is better, 1 is perfect.",
    ),
    "quantize": ("llmchat_tui.cli.models_quantize:quantize", "Make a smaller model out of a large one."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def models() -> None:
    """Find, check, measure and make smaller models.

    `llmchat pull` downloads one, `llmchat ls` lists those that are here, `llmchat show` tells about one.
    """
