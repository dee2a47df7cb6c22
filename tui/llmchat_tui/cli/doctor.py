"""`llmchat doctor`: what this installation is, what is wrong with it, and why it is slow.

Prints; vitals.py collects the facts and checkup.py judges them. Shows no text of a chat and no value of a setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, print_json, print_rows
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.build import Build
    from llmchat_tui.cli.checkup import Facts, Finding, Machine, Place

_WIDTH = 18
_AMX = {
    "unlisted": "not used by this build on this CPU",
    "unprobed": "listed; it is tried when a model is loaded",
    "works": "listed and works",
    "crashes": "listed and crashes here: switched off",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check this installation and tell why it is slow.

    Exit code 1 when something is broken or unsafe; what only makes it slow is told.
    """
    from dataclasses import asdict

    from llmchat_tui.cli.checkup import findings
    from llmchat_tui.cli.vitals import collect

    facts = collect(app_of(context))
    found = findings(facts)
    ok = all(finding.kind != "problem" for finding in found)
    if as_json:
        print_json({"ok": ok, **asdict(facts), "findings": [asdict(finding) for finding in found]})
    else:
        print_rows(sanitize_line(line) for line in [*_report(facts), "", *_verdict(found)])
    context.exit(0 if ok else 1)


def _report(facts: Facts) -> list[str]:
    """Returns the facts as sections of lines."""
    return [
        *_section("versions", facts.versions | {"llama.cpp": facts.build.version or "cannot be loaded"}),
        "",
        *_section("llama.cpp", _build_rows(facts.build)),
        "",
        *_section("machine", _machine_rows(facts.machine)),
        "",
        *_section("places", {place.name: _place_row(place) for place in facts.places} | facts.files),
        "",
        *_section("engines", _engine_rows(facts)),
    ]


def _section(title: str, rows: dict[str, str]) -> list[str]:
    return [title, *(f"  {name:<{_WIDTH}}{value}" for name, value in rows.items())]


def _build_rows(build: Build) -> dict[str, str]:
    if build.error:
        return {"error": build.error}
    return {
        "GPU": ", ".join(build.devices) or ("supported" if build.supports_gpu else "none that this build can use"),
        "AMX": _AMX[build.amx],
        "RPC": "in this build" if build.rpc else "not in this build (CMAKE_ARGS=-DGGML_RPC=on)",
        "built for": build.system_info,
    }


def _machine_rows(machine: Machine) -> dict[str, str]:
    from llmchat_tui.cli.checkup import size_text

    quota = "" if machine.quota is None else f", a quota of {machine.quota:g} processors"
    gpus = ", ".join(gpu.name for gpu in machine.gpus) or "none is visible"
    return {
        "system": machine.system,
        "CPU": f"{machine.cpu}, {machine.processors} hardware threads",
        "cores": f"{machine.cores} usable{quota}; {machine.threads} threads write",
        "load": f"{machine.load:.2f} in the last minute",
        "memory": f"{size_text(machine.free)} free, limited by {machine.limited_by}",
        "bandwidth": _bandwidth_row(machine.bandwidth),
        "swap": f"{size_text(machine.swap_used)} used",
        "GPU": f"{gpus}; nvcc {'is here' if machine.nvcc else 'is not here'}",
        "GOMP_SPINCOUNT": machine.spin_count or "not set: the engine takes 2000",
    }


def _bandwidth_row(bandwidth: float) -> str:
    if not bandwidth:
        return "not measured yet: llmchat models fit measures it"
    return f"{bandwidth / 1e9:.0f} GB/s of memory are read, the most that was measured within a month"


def _engine_rows(facts: Facts) -> dict[str, str]:
    rows = {"running": "; ".join(facts.hosts) or "none"}
    return rows | {"last crash": facts.last_crash} if facts.last_crash else rows


def _place_row(place: Place) -> str:
    return f"{place.path} ({place.mode or 'not there yet'})"


def _verdict(found: list[Finding]) -> list[str]:
    """Returns each finding with what helps, or that there is none."""
    if not found:
        return ["All is well."]
    return [line for finding in found for line in (f"{finding.kind}: {finding.what}", *_hints(finding))]


def _hints(finding: Finding) -> list[str]:
    return [f"    {hint}" for hint in finding.hints]
