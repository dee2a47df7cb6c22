"""What a reply must look like: GBNF checked before llama.cpp reads it, and JSON schemas turned into it.

Knows no llama.cpp and no models.
"""

from __future__ import annotations

from llmchat_engine.grammar.checks import check_rules
from llmchat_engine.grammar.gbnf import parse
from llmchat_engine.grammar.growth import check_growth

__all__ = ["check_grammar"]


def check_grammar(text: str) -> None:
    """Makes sure that llama.cpp reads a grammar, and can work with it in bounded time and memory.

    Raises:
        RequestInvalid: `why` says what is wrong, with line and column.
    """
    grammar = parse(text)
    check_rules(grammar)
    check_growth(grammar)
