"""`llmchat ps` and `llmchat stop`: the models that are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import console_of, print_json, print_rows
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.hosts import RunningHost


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def ps(app: App, as_json: bool) -> None:
    """List the models that are loaded, who uses them and when they leave."""
    from llmchat_engine.hosts import running_hosts

    hosts = running_hosts(app.paths.runtime_dir)
    if as_json:
        print_json([_facts(host) for host in hosts])
    elif not hosts:
        console_of(app).info("no model is loaded")
    else:
        head = f"{'pid':<9}{'model':<36}{'context':>9}{'memory':>10}{'clients':>9}  state"
        print_rows([head, *(_row(host) for host in hosts)])


@click.command()
@click.argument("which", nargs=-1, metavar="[PID|MODEL]…")
@click.pass_obj
def stop(app: App, which: tuple[str, ...]) -> None:
    """Unload models: those named by process id or model name, else all of them."""
    from llmchat_engine.hosts import running_hosts, stop_host
    from llmchat_tui.errors import NotFound

    hosts = running_hosts(app.paths.runtime_dir)
    chosen = [host for host in hosts if not which or _is_meant(host, which)]
    if which and not chosen:
        raise NotFound(f"no loaded model is called {' or '.join(which)}", hint="llmchat ps")
    console = console_of(app)
    for host in chosen:
        killed = stop_host(host)
        console.info(f"{'killed' if killed else 'stopped'} {host.pid} {_name(host)}")
    if not hosts:
        console.info("no model is loaded")


def _is_meant(host: RunningHost, which: tuple[str, ...]) -> bool:
    return any(word == str(host.pid) or word == _name(host) for word in which)


def _name(host: RunningHost) -> str:
    return host.status.model.name if host.status and host.status.model else "?"


def _row(host: RunningHost) -> str:
    status = host.status
    if status is None:
        return f"{host.pid:<9}{'?':<36}{'':>9}{'':>10}{'':>9}  does not answer: llmchat stop {host.pid}"
    context = f"{status.model.n_ctx:,}" if status.model else ""
    memory = f"{status.resident / 2**20:,.0f} MiB"
    name = sanitize_line(_name(host))[:35]
    return f"{host.pid:<9}{name:<36}{context:>9}{memory:>10}{status.clients:>9}  {_state(host)}"


def _state(host: RunningHost) -> str:
    status = host.status
    if status is None:
        return "does not answer"
    if status.busy:
        return f"answering, {status.queued} waiting" if status.queued else "answering"
    return "ready" if status.leaves_in < 0 else f"leaves in {status.leaves_in:.0f} s"


def _facts(host: RunningHost) -> dict[str, Any]:
    status = host.status
    if status is None:
        return {"pid": host.pid, "state": "does not answer"}
    return {
        "pid": host.pid,
        "state": _state(host),
        "model": status.model.name if status.model else None,
        "path": status.model.path if status.model else None,
        "n_ctx": status.model.n_ctx if status.model else None,
        "clients": status.clients,
        "queued": status.queued,
        "resident_bytes": status.resident,
        "uptime_seconds": round(status.uptime, 1),
    }
