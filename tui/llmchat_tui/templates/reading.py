"""From TOML to a template: every key checked, and what is wrong named with file, line and key.

Knows no folder of templates, no engine and no question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.config import parse_toml
from llmchat_tui.config_values import checked_value
from llmchat_tui.errors import ConfigError, TemplateInvalid, UserError
from llmchat_tui.inputs import as_text
from llmchat_tui.placeholders import is_name, names_in, parameter_of
from llmchat_tui.recipe import PLACE
from llmchat_tui.schemas import ANY_OBJECT
from llmchat_tui.settings import SAMPLING_KEYS
from llmchat_tui.templates.constraints import choices_grammar, grammar_text, listed, schema_text
from llmchat_tui.templates.faults import Fault, invalid, unknown
from llmchat_tui.templates.files import read_file
from llmchat_tui.templates.shape import DOCUMENT_KINDS, KINDS, SHOT_KINDS, checked
from llmchat_tui.templates.shots import read_shots
from llmchat_tui.templates.values import Template

_AS_THEY_ARE = (
    "description", "system", "user", "params", "num_shots", "shots_by", "cot", "votes", "think", "think_budget",
    "keep_thoughts",
)  # fmt: skip


def read_template(path: Path) -> Template:
    """Returns the template of a file; its name is the file's.

    Raises:
        TemplateMissing: there is no such file.
        TemplateInvalid: it cannot be used; `what` names file, line and key.
    """
    return template_of(read_file(path), as_text(path.stem), path)


def template_of(text: str, name: str, path: Path | None) -> Template:
    """Returns the template of a TOML text.

    Args:
        text: the file.
        name: of the template.
        path: the file, which paths in it start from; None for one that is built in.

    Raises:
        TemplateInvalid: it cannot be used; `what` names file, line and key.
    """
    try:
        values = parse_toml(path or Path(f"{name}.toml"), text)
    except ConfigError as error:
        raise TemplateInvalid(error.what, error.why, error.hint) from error
    try:
        return _template(values, name, path)
    except Fault as fault:
        raise invalid(fault, text, name, path) from fault


def _template(written: Mapping[str, Any], name: str, path: Path | None) -> Template:
    values = checked("", written, KINDS)
    folder = path.parent if path else None
    params = values.get("params", {})
    checked("params", params, dict.fromkeys(params, str))
    documents = checked("documents", values.get("documents", {}), DOCUMENT_KINDS)
    template = Template(
        name=name,
        shots=_shots(values.get("shots", []), folder),
        schema=_schema(values, folder),
        grammar=_grammar(values, folder),
        sampling=_sampling(values.get("sampling", {})),
        collections=tuple(documents.get("collections", ())),
        docs_k=documents.get("k"),
        cite=documents.get("cite"),
        path=path,
        **{key: values[key] for key in _AS_THEY_ARE if key in values},
    )
    _check_names(template)
    _check_together(template, values)
    return template


def _shots(written: str | Sequence[Mapping[str, Any]], folder: Path | None) -> tuple[Shot, ...]:
    if isinstance(written, str):
        try:
            return read_shots((folder or Path()) / Path(written).expanduser())
        except UserError as error:
            raise Fault("shots", f"shots: {error.what}", error.why) from error
    return tuple(_shot(shot, number) for number, shot in enumerate(written, 1))


def _shot(written: Mapping[str, Any], number: int) -> Shot:
    values = checked(f"shots.{number}", written, SHOT_KINDS)
    for key in ("input", "output"):
        if not values.get(key, "").strip():
            raise Fault(f"shots.{number}.{key}", f"shot {number} has no {key}")
    return Shot(**values)


def _schema(values: Mapping[str, Any], folder: Path | None) -> str:
    """Returns the schema as JSON text, or the parameter that it is left to."""
    if "format" in values and "schema" not in values:
        return ANY_OBJECT
    written = values.get("schema", "")
    if isinstance(written, str) and (not written or parameter_of(written)):
        return written
    return schema_text(written, folder)


def _grammar(values: Mapping[str, Any], folder: Path | None) -> str:
    """Returns the grammar, that of a choice too, or the parameter that a choice is left to."""
    if "choices" not in values:
        return grammar_text(values["grammar"], folder) if values.get("grammar") else ""
    written = values["choices"]
    if isinstance(written, str) and parameter_of(written):
        return written.strip()
    return choices_grammar(listed(written) if isinstance(written, str) else written)


def _sampling(written: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in written.items():
        if name not in SAMPLING_KEYS:
            raise unknown(f"sampling.{name}", sorted(SAMPLING_KEYS))
        try:
            values[name] = checked_value(name, value, "sampling.", "")
        except ConfigError as error:
            raise Fault(f"sampling.{name}", error.what, error.why) from error
    return values


def _check_names(template: Template) -> None:
    """Holds the names in `user` and in the schema against the parameters."""
    for name in template.params:
        if not is_name(name):
            raise Fault(f"params.{name}", f"{name!r} cannot be a parameter", "write letters, digits and _")
        if name == PLACE:
            raise Fault(f"params.{name}", f"{name} cannot be a parameter", f"${PLACE} is the question")
    known = [PLACE, *template.params]
    for name in names_in(template.user):
        if name not in known:
            raise Fault("user", f"${name} in user is no parameter", _near(name, known))
    if template.user and PLACE not in names_in(template.user):
        raise Fault("user", f"there is no ${PLACE} in user", "that is where the question goes")
    for key, value in (("schema", template.schema), ("choices", template.grammar)):
        if (name := parameter_of(value)) and name not in template.params:
            raise Fault(key, f"${name} in {key} is no parameter", _near(name, list(template.params)))


def _near(name: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean ${near[0]}?" if near else f'add {name} = "" to [params], or write $${name} for the text'


def _check_together(template: Template, written: Mapping[str, Any]) -> None:
    """Refuses what excludes each other."""
    forms = [key for key in ("format", "schema", "grammar", "choices") if written.get(key)]
    if len(forms) > 1:
        raise Fault(forms[1], f"{forms[0]} and {forms[1]} exclude each other", "an answer follows one form")
    if "documents" in written:
        for key in ("cot", "votes"):
            if written.get(key) not in (None, "off", 0):
                raise Fault(key, f"{key} and documents exclude each other", "from documents there is one answer")
        if template.cite and forms:
            raise Fault("documents.cite", f"cite and {forms[0]} exclude each other", "an answer follows one form")
    if template.cot == "few-shot":
        _check_reasoned(template)


def _check_reasoned(template: Template) -> None:
    if not template.shots or template.num_shots == 0:
        why = "with num_shots = 0 no shot shows" if template.shots else "there are no shots that show"
        raise Fault("cot", "cot cannot be 'few-shot'", f"{why} how to reason")
    for number, shot in enumerate(template.shots, 1):
        if not shot.reasoning.strip():
            raise Fault(f"shots.{number}", f"shot {number} has no reasoning", "cot = 'few-shot' shows it")
