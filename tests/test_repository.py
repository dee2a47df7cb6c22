"""House rules that no linter knows: read from the files of the repository, without importing them."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("engine", "rag", "tui")
MAX_PYTHON_LINES = 400
MAX_FILE_BYTES = 1 << 20

BROAD_EXCEPT_ALLOWED = frozenset(
    {
        "engine/llmchat_engine/host/__main__.py",
        "engine/llmchat_engine/host/worker.py",
        "tui/llmchat_tui/talks.py",
    }
)
"""The rims of processes and of a turn's thread, where whatever happens must end as a message or a log line."""

FORBIDDEN_MODULES = frozenset({"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"})
FORBIDDEN_CALLS = frozenset(
    {
        "eval",
        "exec",
        "os.popen",
        "os.system",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "tempfile.mktemp",
        "yaml.load",
        "yaml.unsafe_load",
    }
)
MACHINE_PATHS = tuple(f"/{folder}/" for folder in ("work", "root"))


def repository_files() -> list[Path]:
    """Returns every file that git tracks or would track, but for those deleted in the working tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = sorted(ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def python_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str | None:
    """Returns the text of a file, or None where it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def dotted(node: ast.expr) -> str:
    """Returns `a.b.c` for the expression that spells it, or nothing."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def forbidden_in(tree: ast.AST) -> Iterator[str]:
    """Yields each import and call that runs data as code, or that opens a race."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                modules = [module]
                yield from (f"{module}.{a.name}" for a in names if f"{module}.{a.name}" in FORBIDDEN_CALLS)
            case ast.Call(func=function, keywords=keywords):
                modules = []
                if dotted(function).removeprefix("builtins.") in FORBIDDEN_CALLS:
                    yield f"{dotted(function)}() in line {node.lineno}"
                if any(k.arg == "shell" and not is_false(k.value) for k in keywords):
                    yield f"shell=True in line {node.lineno}"
            case _:
                continue
        yield from (f"import {module}" for module in modules if module.partition(".")[0] in FORBIDDEN_MODULES)


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def broad_handlers(tree: ast.AST) -> Iterator[int]:
    """Yields the line of each handler that swallows everything; one that ends in `raise` only tidies up."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or ends_in_raise(node):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(kind is None or dotted(kind) in {"Exception", "BaseException"} for kind in kinds):
            yield node.lineno


def ends_in_raise(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def modules_of(room: str) -> list[str]:
    """Returns the names a room's file tree has to show: its modules, and its packages with a slash."""
    package = ROOT / room / f"llmchat_{room}"
    files = [path.relative_to(package) for path in python_files() if path.is_relative_to(package)]
    names = {path.parts[0] + ("/" if len(path.parts) > 1 else "") for path in files}
    return sorted(names - {"__init__.py"})


def tree_of(readme: str, room: str) -> str:
    """Returns the lines of the README's file tree from a room's line to the next room's, or nothing."""
    blocks = [b for b in re.findall(r"^```.*?\n(.*?)^```", readme, re.DOTALL | re.MULTILINE) if "llmchat_engine" in b]
    lines = "\n".join(blocks).splitlines()
    room_lines = [i for i, line in enumerate(lines) if re.match(r"\W*(engine|rag|tui|tests)/", line)]
    starts = [i for i in room_lines if re.match(rf"\W*{room}/", lines[i])]
    if not starts:
        return ""
    end = min((i for i in room_lines if i > starts[0]), default=len(lines))
    return "\n".join(lines[starts[0] : end])


def test_every_module_says_what_it_is() -> None:
    modules = [path for path in python_files() if name_of(path).startswith(ROOMS)]
    silent = [name_of(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []


def test_no_file_grows_beyond_reading() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_PYTHON_LINES} == {}


def test_only_the_rim_of_a_process_catches_everything() -> None:
    found = {
        f"{name_of(path)}:{line}"
        for path in python_files()
        for line in broad_handlers(ast.parse(path.read_text(encoding="utf-8")))
        if name_of(path) not in BROAD_EXCEPT_ALLOWED
    }
    assert found == set()


@pytest.mark.parametrize("name", sorted(BROAD_EXCEPT_ALLOWED))
def test_an_exception_to_the_rule_is_still_needed(name: str) -> None:
    assert list(broad_handlers(ast.parse((ROOT / name).read_text(encoding="utf-8")))) != []


def test_nothing_runs_data_as_code() -> None:
    found = {
        f"{name_of(path)}: {what}"
        for path in python_files()
        for what in forbidden_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import joblib.memory",
        "from marshal import loads",
        "from os import system",
        "import yaml\nyaml.load(x)",
        "eval('1')",
        "builtins.exec('1')",
        "run('ls', shell=True)",
        "run('ls', shell=flag)",
    ],
)
def test_the_walk_sees_what_it_forbids(source: str) -> None:
    assert list(forbidden_in(ast.parse(source))) != []


@pytest.mark.parametrize("source", ["model.eval()", "run(['ls'], shell=False)", "yaml.safe_load(x)", "import json"])
def test_the_walk_leaves_the_rest_alone(source: str) -> None:
    assert list(forbidden_in(ast.parse(source))) == []


@pytest.mark.parametrize("kinds", ["", " Exception", " BaseException as e", " (OSError, Exception)"])
def test_the_walk_sees_a_broad_handler(kinds: str) -> None:
    assert list(broad_handlers(ast.parse(f"try:\n  x()\nexcept{kinds}:\n  pass"))) == [3]


def test_a_handler_that_raises_again_is_no_broad_handler() -> None:
    assert list(broad_handlers(ast.parse("try:\n  x()\nexcept BaseException:\n  y()\n  raise"))) == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_readme_shows_every_module(room: str) -> None:
    tree = tree_of((ROOT / "README.md").read_text(encoding="utf-8"), room)
    missing = [name for name in modules_of(room) if not re.search(rf"(?<![\w/]){re.escape(name)}(?!\w)", tree)]
    assert missing == [], f"the file tree of README.md, below {room}/, leaves out {missing}"


def test_every_room_has_a_short_readme() -> None:
    lengths = {room: len((ROOT / room / "README.md").read_text(encoding="utf-8").splitlines()) for room in ROOMS}
    assert {room: lines for room, lines in lengths.items() if lines > 40} == {}


def pinned() -> dict[str, str]:
    """Returns the normalised names and the versions of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    pairs = [line.split("==") for line in lines[1:]]
    return {normal(name): version for name, version in pairs}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_constraints_are_sorted_and_pin_the_public_torch() -> None:
    versions = pinned()
    assert list(versions) == sorted(versions)
    assert versions["torch"] == "2.13.0"


def test_the_constraints_pin_every_dependency() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    extras = settings["project"]["optional-dependencies"]
    wanted = [
        *settings["project"]["dependencies"],
        *(requirement for extra in extras.values() for requirement in extra),
        *settings["dependency-groups"]["dev"],
        "milvus-lite",  # what `make test-milvus` adds
    ]
    names = {normal(re.split(r"[<>=!~;\[ ]", requirement)[0]) for requirement in wanted}
    assert names - set(pinned()) == set()


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    texts = ((path, text_of(path)) for path in repository_files())
    assert [name_of(path) for path, text in texts if text and any(place in text for place in MACHINE_PATHS)] == []


def test_files_are_small_and_texts_end_with_one_newline() -> None:
    files = repository_files()
    assert [name_of(path) for path in files if path.stat().st_size > MAX_FILE_BYTES] == []
    texts = ((path, text_of(path)) for path in files)
    assert [name_of(path) for path, text in texts if text and not re.search(r"[^\n]\n\Z", text)] == []


def test_workflows_pin_every_action_by_commit() -> None:
    workflows = (ROOT / ".github" / "workflows").glob("*.yml")
    uses = [line.strip() for path in workflows for line in path.read_text().splitlines() if "uses:" in line]
    assert uses != []
    assert [line for line in uses if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d", line)] == []
