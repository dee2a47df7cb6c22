"""Collects the facts for `llmchat doctor`: versions, hardware, directories, chats, model, running hosts.

Changes nothing but what opening the chats changes. What fails here becomes a finding; nothing is judged here.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_engine import EngineError, NotEnoughMemory
from llmchat_engine.build import read_build
from llmchat_tui import __version__
from llmchat_tui.cli.checkup import Facts, Finding, Gpu, Machine, Place, size_text
from llmchat_tui.errors import ConfigError, UserError
from llmchat_tui.settings import Settings

if TYPE_CHECKING:
    from llmchat_engine import RemoteSpec
    from llmchat_engine.hosts import RunningHost
    from llmchat_tui.cli.app import App
    from llmchat_tui.paths import Paths

_NVIDIA_SMI = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")


def collect(app: App) -> Facts:
    """Returns the facts of this installation.

    Args:
        app: This run; its configuration may be broken.
    """
    found: list[Finding] = []
    settings = _settings(app, found)
    hosts = _hosts(app.paths, found)
    return Facts(
        versions=_versions(),
        build=read_build(app.paths.state_dir),
        machine=_machine(settings.threads, app.environ.get("GOMP_SPINCOUNT", ""), app.paths.state_dir),
        places=tuple(_places(app.paths)),
        files={
            "config.toml": _config_line(app.paths),
            "chats.db": _chats(app.paths, found),
            "model": _model(app, settings, hosts, found),
        },
        hosts=tuple(_host_line(host) for host in hosts),
        last_crash=_last_crash(app.paths.log_dir),
        gpu_layers=settings.gpu_layers,
        findings=tuple(found),
    )


def _problem(error: UserError | EngineError) -> Finding:
    return Finding("problem", str(error), (error.hint,) if error.hint else ())


def _settings(app: App, found: list[Finding]) -> Settings:
    try:
        return app.config.settings
    except ConfigError as error:
        found.append(_problem(error))
        return Settings()


def _versions() -> dict[str, str]:
    return {
        "llmchat": __version__,
        "Python": ".".join(map(str, sys.version_info[:3])),
        "llama-cpp-python": _installed("llama-cpp-python"),
        "textual": _installed("textual"),
        "SQLite": sqlite3.sqlite_version,
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _machine(threads: int, spin_count: str, state_dir: Path) -> Machine:
    from shutil import which

    from llmchat_engine.models.fit.cpu import cpu_quota, cpu_threads, usable_cores
    from llmchat_engine.models.fit.machine import known_bandwidth
    from llmchat_engine.models.fit.memory import memory_free

    system, free = os.uname(), memory_free()
    return Machine(
        system=f"{system.sysname} {system.release} {system.machine}",
        cpu=_cpu_name() or system.machine,
        processors=os.cpu_count() or 1,
        cores=usable_cores(),
        threads=threads or cpu_threads(),
        quota=cpu_quota(),
        load=os.getloadavg()[0],
        free=free.bytes,
        limited_by=free.limited_by,
        swap_used=_swap_used(),
        spin_count=spin_count,
        gpus=tuple(visible_gpus()),
        nvcc=which("nvcc") is not None,
        bandwidth=known_bandwidth(state_dir),
    )


def _cpu_name() -> str:
    if sys.platform == "darwin":
        return _output("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string").strip()
    found = re.search(r"^model name\s*:\s*(.*)", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else ""


def _swap_used() -> int:
    sizes = dict(re.findall(r"^(Swap\w+):\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE))
    return 1024 * (int(sizes.get("SwapTotal", 0)) - int(sizes.get("SwapFree", 0)))


def visible_gpus() -> Iterator[Gpu]:
    """Yields the GPUs that the system shows, by whatever shows them first."""
    if sys.platform == "darwin":
        if os.uname().machine == "arm64":
            yield Gpu("the GPU of this Mac", "metal")
        return
    for program in _NVIDIA_SMI:
        if names := re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", _output(program, "-L"), re.MULTILINE):
            yield from (Gpu(name, "cuda") for name in names)
            return
    if os.path.exists("/dev/nvidia0"):
        yield Gpu("an NVIDIA GPU (/dev/nvidia0)", "cuda")
    if os.path.exists("/dev/kfd"):
        yield Gpu("an AMD GPU (/dev/kfd)", "rocm")


def _output(*command: str) -> str:
    """Returns what a small program prints; nothing where it is missing, fails or hangs."""
    import subprocess

    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=True, errors="replace").stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _places(paths: Paths) -> Iterator[Place]:
    every = {
        "config": paths.config_dir,
        "data": paths.data_dir,
        "cache": paths.cache_dir,
        "state": paths.state_dir,
        "logs": paths.log_dir,
        "sockets": paths.runtime_dir,
    }
    # With LLMCHAT_HOME several of them are one.
    for path in dict.fromkeys(every.values()):
        name = ", ".join(name for name, other in every.items() if other == path)
        try:
            status = path.stat()
        except OSError:
            yield Place(name, str(path), "", True)
        else:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            yield Place(name, str(path), mode, status.st_uid == os.getuid())


def _config_line(paths: Paths) -> str:
    return f"{paths.config_file}{'' if paths.config_file.exists() else ' (not there: the built-in settings hold)'}"


def _chats(paths: Paths, found: list[Finding]) -> str:
    """Checks every page of the chats; makes no database where there is none."""
    from llmchat_tui.history import History

    if not os.path.lexists(paths.chats_db):
        return f"{paths.chats_db} (not there yet)"
    try:
        with History.open(paths.chats_db) as history:
            problems = history.check()
    except UserError as error:
        found.append(_problem(error))
        return f"{paths.chats_db}, cannot be used"
    found += [Finding("problem", f"{paths.chats_db}: {problem}") for problem in problems]
    return f"{paths.chats_db}, {size_text(paths.chats_db.stat().st_size)}, {'damaged' if problems else 'checked: ok'}"


def _model(app: App, settings: Settings, hosts: list[RunningHost], found: list[Finding]) -> str:
    """Checks the model that a question without -m goes to, as a load would."""
    from llmchat_engine import ModelSpec
    from llmchat_engine.launch import Places
    from llmchat_engine.models.gguf import read_header
    from llmchat_engine.preflight import check_model
    from llmchat_tui.cli.model_choice import choose_model
    from llmchat_tui.model_options import meant
    from llmchat_tui.remote_choice import is_remote, remote_spec

    try:
        wanted = meant(settings.model, app.config.tables)[-1] if settings.model else ""
        if is_remote(wanted):
            return _server(remote_spec(wanted, app.config.tables.remotes, setting=settings.base_url))
        path = choose_model(wanted, app.paths.models_dir, app.environ).absolute()
        header = read_header(path)
        line = f"{path}, {header.quantization}, {size_text(header.file_size)}"
        loaded = [host.status.model.path for host in hosts if host.status and host.status.model]
        if path.resolve() in map(Path.resolve, map(Path, loaded)):
            return f"{line}, loaded"
        cache_types = settings.cache_type_k, settings.cache_type_v
        spec = ModelSpec(path, settings.ctx, settings.gpu_layers, settings.threads, settings.batch, *cache_types)
        places = Places(app.paths.runtime_dir, app.paths.log_dir, app.paths.state_dir)
        return f"{line}, fits with {check_model(spec, places).n_ctx:,} tokens of context"
    except NotEnoughMemory as error:
        found.append(_problem(error))
        return f"{line}, does not fit"
    except (UserError, EngineError) as error:
        found.append(_problem(error))
        return "none that can be used"


def _server(spec: RemoteSpec) -> str:
    """Returns which server a question without -m goes to; it is not asked here."""
    key = f", the key in {spec.key_env}" if spec.key_env else ""
    return f"{spec.model or 'the only model'} at {spec.base_url}{key}; it is not asked here"


def _hosts(paths: Paths, found: list[Finding]) -> list[RunningHost]:
    from llmchat_engine.hosts import running_hosts

    try:
        hosts = running_hosts(paths.runtime_dir)
    except EngineError as error:
        found.append(_problem(error))
        return []
    silent = [host for host in hosts if host.status is None]
    found += [Finding("problem", f"the engine {h.pid} does not answer", (f"llmchat stop {h.pid}",)) for h in silent]
    return hosts


def _host_line(host: RunningHost) -> str:
    status = host.status
    if status is None:
        return f"{host.pid}, does not answer"
    name = status.model.name if status.model else "no model yet"
    return f"{host.pid}, {name}, {size_text(status.resident)}, {'answering' if status.busy else 'idle'}"


def _last_crash(logs: Path) -> str:
    """Returns the newest log's line about a crash, with its time and file."""
    from llmchat_engine.launch import last_words

    for log in sorted(logs.glob("host-*.log"), key=_changed_at, reverse=True):
        words = last_words(log)
        if "GGML_ASSERT" in words or words.startswith("Fatal Python error"):
            return f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(_changed_at(log)))}, {words} ({log})"
    return ""


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
