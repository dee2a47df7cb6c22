"""Whether an answer is JSON that satisfies a schema. jsonschema is the judge, and it fetches nothing.

Knows no grammar and no engine; imported where an answer followed a schema.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from llmchat_engine import Finished
from llmchat_engine.answers import Answer

_MOST = 200
"""Characters of a reason: jsonschema quotes the value, which may be the whole answer."""


def why_invalid(schema: str, text: str) -> str:
    """Returns why a text does not satisfy a schema (JSON text, Draft 2020-12); empty where it does."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: it is no JSON: {error.msg}"
    except (RecursionError, ValueError) as error:
        return f"it is no JSON that can be read: {error}"
    try:
        return _against(json.loads(schema), value)
    except RecursionError:
        return "it is nested too deeply to be checked"


def form_fault(answer: Finished | Answer, schema: str) -> str:
    """Returns why an answer has not the form that it was held to; empty where it has, or the user stopped it.

    Args:
        answer: how it ended.
        schema: what it had to satisfy, as JSON text; empty where there was none.
    """
    if answer.reason == "cancelled":
        return ""
    if not answer.complete:
        return "it ended before its form did"
    why = why_invalid(schema, answer.text) if schema else ""
    return f"it does not satisfy its schema: {why}" if why else ""


def _against(schema: Any, value: Any) -> str:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    try:
        error = best_match(validator.iter_errors(value))
    except Unresolvable as missing:  # of a registry that has nothing and fetches nothing
        return f"the schema refers to {missing.ref}, which is not in it"
    if error is None:
        return ""
    place = "".join(f"/{part}" for part in error.absolute_path)
    return f"at #{place}: {error.message}"[:_MOST]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
