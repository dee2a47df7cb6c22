"""How many tokens a text has for the model that will read it. Asks an engine; knows no turn and no screen."""

from __future__ import annotations

from llmchat_engine import Engine, Message, ModelInfo, Request

ASSUMED_CONTEXT = 8192
"""Tokens that a server is taken to hold where it does not tell: what documents may take is reckoned from it."""


def token_count(engine: Engine, model: ModelInfo, text: str) -> int:
    """Returns the tokens of a text; of one that a server would read, an estimate where that is not on this machine.

    Raises:
        EngineError: nothing can be counted.
    """
    if not model.remote:
        return len(engine.tokenize(text))
    return engine.measure(Request((Message("user", text),), raw=True)).total


def context_of(n_ctx: int) -> int:
    """Returns a context that something can be reckoned from."""
    return n_ctx or ASSUMED_CONTEXT
