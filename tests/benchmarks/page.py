"""Results as files: docs/benchmarks/<date>-<cpu>.json; the newest one in docs/benchmarks.md, its chat in README.md too.

Knows files and Markdown; measures nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from tests.benchmarks.targets import CHAT_ROWS, LLAMA, SERVER, Comparison, of_peer

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.with_name("README.md")
_INTRODUCED = (
    "The time to the first word in a chat of 3,000 tokens, beside llama-cpp-python's class and its server, with",
    "the same file and threads:",
)
_CHAT = re.compile(r"(?<=<!-- chat -->\n).*?(?=<!-- end -->)", re.DOTALL)
_RESULT = re.compile(r"(?<=<!-- result -->\n).*?(?=<!-- end -->)", re.DOTALL)


def file_name(result: Comparison) -> str:
    """Returns the name under which a result is kept: its day and its CPU."""
    cpu = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", result.report.machine.cpu.lower())).strip("-")
    return f"{result.report.date[:10]}-{cpu or 'cpu'}.json"


def save(result: Comparison, docs: Path = DOCS, readme: Path = README) -> Path:
    """Writes a result and the pages; a second result of the same day and machine takes the place of the first."""
    path = docs / "benchmarks" / file_name(result)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    page = docs / "benchmarks.md"
    page.write_text(with_result(page.read_text(encoding="utf-8"), result), encoding="utf-8")
    readme.write_text(with_chat(readme.read_text(encoding="utf-8"), result), encoding="utf-8")
    return path


def newest(docs: Path = DOCS) -> Comparison | None:
    """Returns the newest result that is kept, or None."""
    results = [msgspec.json.decode(path.read_bytes(), type=Comparison) for path in (docs / "benchmarks").glob("*.json")]
    return max(results, key=lambda result: result.report.date, default=None)


def with_result(page: str, result: Comparison) -> str:
    """Returns the page with the tables of a result between its markers."""
    return _RESULT.sub(lambda _: _tables(result), page)


def with_chat(page: str, result: Comparison) -> str:
    """Returns the page with a result's chat between its markers; as it is, where others had no part in that."""
    report = result.report
    medians = {row.name: row.median for row in report.rows}
    names = {row: [row, *(of_peer(row, peer) for peer in (LLAMA, SERVER))] for row in CHAT_ROWS}
    if any(name not in medians for row in CHAT_ROWS for name in names[row]):
        return page
    rows = [f"| {row} | " + " | ".join(f"{medians[name]:,.0f} ms" for name in names[row]) + " |" for row in CHAT_ROWS]
    said = f"{report.model.name}, {report.machine.cpu}, {report.model.threads} threads, {report.date[:10]}"
    lines = [
        "", *_INTRODUCED, "", f"| {said} | llmchat | `{LLAMA}` | `{SERVER}` |", "|---|---:|---:|---:|", *rows, "",
    ]  # fmt: skip
    return _CHAT.sub(lambda _: "\n".join([*lines, ""]), page)


def _tables(result: Comparison) -> str:
    report = result.report
    machine, model = report.machine, report.model
    facts = [
        f"{report.date[:10]}, {machine.cpu}, {machine.cores} cores, {machine.system}, load {machine.load:g} before.",
        f"{model.name} ({model.size / 1e6:.0f} MB), {model.threads} threads, {model.n_ctx:,} tokens of context.",
        ", ".join(f"{name} {value}" for name, value in {**report.versions, **result.settings}.items()) + ".",
    ]
    measured = [
        f"| {row.name} | {row.median:g} | {min(row.values):g} to {max(row.values):g} | {row.unit} "
        f"| {'' if row.floor is None else f'{row.floor:g}'} | {row.note} |"
        for row in report.rows
    ]
    judged = [
        f"| {target.name} | {target.value:.3f} {target.unit} | {target.sign} {target.limit:g} | {_mark(target.met)} |"
        for target in result.targets
    ]
    return "\n".join([
        "", *facts, "",
        "| what | median | lowest to highest | unit | floor | |", "|---|---:|---:|---|---:|---|", *measured, "",
        "| target | measured | has to be | |", "|---|---:|---:|---|", *judged, "", "",
    ])  # fmt: skip


def _mark(met: bool) -> str:
    return "met" if met else "**missed**"
