"""What `llmchat ask` tells on stderr when an answer has ended: sources, probabilities, votes, usage.

Knows no engine and no stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmchat_tui.cli.usage import usage_block, usage_line
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_tui.cli.ask_flags import AskFlags
    from llmchat_tui.cli.talk import Outcome
    from llmchat_tui.console import Console


def tell(outcome: Outcome, flags: AskFlags, console: Console) -> None:
    """Tells what the flags ask for."""
    if outcome.retrieval is not None:
        _tell_sources(outcome, flags, console)
    if outcome.logprobs and not flags.as_json:
        _tell_tokens(outcome, console)
    if outcome.polled is not None and not flags.as_json:
        _tell_votes(outcome, flags, console)
    _tell_usage(outcome, flags, console)


def _tell_sources(outcome: Outcome, flags: AskFlags, console: Console) -> None:
    """Tells what the answer was made from."""
    from llmchat_tui.cli.explain import explained
    from llmchat_tui.cli.sources import account

    for line in account(outcome):
        (console.say if flags.sources else console.info)(sanitize_line(line))
    if flags.explain and outcome.retrieval and outcome.retrieval.results:
        for line in explained(outcome.retrieval.results):
            console.say(sanitize_line(line))


def _tell_tokens(outcome: Outcome, console: Console) -> None:
    """Tells how likely each token was."""
    from llmchat_tui.cli.logprobs import logprob_lines

    for line in logprob_lines(outcome.logprobs):
        console.say(sanitize_line(line))


def _tell_votes(outcome: Outcome, flags: AskFlags, console: Console) -> None:
    """Tells how a vote went, and every chain of it where that was asked for."""
    from llmchat_tui.cli.thoughts import chain_lines
    from llmchat_tui.votes import outcome_of

    if outcome.polled is None:
        return
    for line in chain_lines(outcome.polled) if flags.prompting.chains else ():
        console.say(line)
    if outcome.polled.tally and not flags.quiet:
        console.say(outcome_of(outcome.polled))


def _tell_usage(outcome: Outcome, flags: AskFlags, console: Console) -> None:
    from llmchat_tui.cli.sources import documents_line

    if not (outcome.finished and outcome.model):
        return
    if flags.verbose:
        found = documents_line(outcome) if outcome.retrieval else ""
        console.say(usage_block(outcome.finished, outcome.model, outcome.load_seconds, found, outcome.polled))
    elif flags.usage:
        console.say(usage_line(outcome.finished, outcome.model.remote))
