"""What a reply must look like: GBNF checked before llama.cpp reads it, and JSON schemas turned into it.

Knows no llama.cpp and no models.
"""

from __future__ import annotations

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.grammar.checks import check_rules
from llmchat_engine.grammar.gbnf import parse
from llmchat_engine.grammar.growth import check_growth

__all__ = ["check_grammar", "constraint_text"]


def check_grammar(text: str) -> None:
    """Makes sure that llama.cpp reads a grammar, and can work with it in bounded time and memory.

    Raises:
        RequestInvalid: `why` says what is wrong, with line and column.
    """
    grammar = parse(text)
    check_rules(grammar)
    check_growth(grammar)


def constraint_text(grammar: str, schema: str) -> str:
    """Returns the checked GBNF of a request; empty where it asks for none.

    Args:
        grammar: GBNF, or empty.
        schema: A JSON schema as text, or empty.

    Raises:
        RequestInvalid: one of them cannot be used, or both are given.
    """
    if grammar and schema:
        raise RequestInvalid("a grammar and a schema were given", "a reply can follow one of them", "leave one out")
    if grammar:
        check_grammar(grammar)
        return grammar
    if not schema:
        return ""
    from llmchat_engine.grammar.schema import schema_to_gbnf

    return schema_to_gbnf(schema)
