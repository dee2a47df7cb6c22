"""Which templates there are: the user's own, then those that come along. Knows no engine and no question."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmchat_tui.errors import TemplateInvalid, TemplateMissing
from llmchat_tui.inputs import as_text
from llmchat_tui.templates.files import read_file
from llmchat_tui.templates.reading import read_template, template_of
from llmchat_tui.templates.values import Template

BUILT_IN = Path(__file__).with_name("builtin")
SKELETON = Path(__file__).with_name("skeleton.toml")
"""What a new template begins with."""
SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Listed:
    """A template of a list; one that cannot be used says why."""

    name: str
    template: Template | None
    path: Path | None
    """Its file; None is built in."""
    problem: TemplateInvalid | TemplateMissing | None = None

    @property
    def description(self) -> str:
        """What it is for."""
        return self.template.description if self.template else ""


def find_template(name: str, folder: Path) -> Template:
    """Returns a template by its name, a part of it that only one name begins with, or the path of its file.

    Args:
        name: as the user typed it; a path ends in .toml.
        folder: of the user's own templates, which go before those that come along.

    Raises:
        TemplateMissing: the name fits none or several.
        TemplateInvalid: it cannot be used.
    """
    if name.endswith(SUFFIX):
        return read_template(Path(name).expanduser())
    files = template_files(folder)
    return _read(full_name(name, files), files)


def all_templates(folder: Path) -> list[Listed]:
    """Returns every template by name; one that is broken is among them with its reason.

    Raises:
        TemplateMissing: the folder cannot be read.
    """
    files = template_files(folder)
    return [_listed(name, files) for name in sorted(files)]


def template_files(folder: Path) -> dict[str, Path]:
    """Returns the file of each template; the user's goes before one that comes along.

    Raises:
        TemplateMissing: the folder cannot be read.
    """
    return _files(BUILT_IN) | _files(folder)


def is_built_in(path: Path) -> bool:
    """Returns whether a file came along."""
    return path.parent == BUILT_IN


def full_name(name: str, files: dict[str, Path]) -> str:
    """Returns the name that is meant: that one, or the only one that begins so.

    Raises:
        TemplateMissing: it fits none or several.
    """
    name = as_text(name)
    if name in files:
        return name
    begins = sorted(known for known in files if name and known.startswith(name))
    if len(begins) == 1:
        return begins[0]
    if begins:
        raise TemplateMissing(f"several templates begin with {name!r}", ", ".join(begins), "write more of the name")
    import difflib  # 3 ms, which a name that fits need not wait for

    near = difflib.get_close_matches(name, list(files), 3)
    why = f"did you mean {' or '.join(near)}?" if near else ""
    raise TemplateMissing(f"there is no template {name!r}", why, "llmchat templates list")


def _files(folder: Path) -> dict[str, Path]:
    try:
        found = list(folder.iterdir())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TemplateMissing(f"cannot read {folder}", error.strerror or "", "llmchat templates path") from error
    return {as_text(path.stem): path for path in found if path.suffix == SUFFIX and not path.name.startswith(".")}


def _read(name: str, files: dict[str, Path]) -> Template:
    path = files[name]
    return template_of(read_file(path), name, None if is_built_in(path) else path)


def _listed(name: str, files: dict[str, Path]) -> Listed:
    path = None if is_built_in(files[name]) else files[name]
    try:
        return Listed(name, _read(name, files), path)
    except (TemplateInvalid, TemplateMissing) as problem:
        return Listed(name, None, path, problem)
