"""From the facts of an installation to findings: what is broken, what makes it slow, and the command that helps.

Pure functions of the facts; asks neither the machine nor the engine. vitals.py collects, doctor.py prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from llmchat_engine.build import Build
from llmchat_tui.cli.install_hint import Accelerator, install_commands

BUSY = 0.75
"""Load for each hardware thread from which decode loses to the neighbours."""
SWAP_NOTED = 256 << 20
"""Bytes; a desktop keeps a little in swap that nobody misses."""
LONG_SPIN = 100_000
"""GCC's own default is 300,000: with it 4 threads on a busy 4-core machine decoded 20 to 100 times slower."""
_OTHERS = 0o077
_BACKENDS: Mapping[Accelerator, tuple[str, ...]] = {
    "cuda": ("CUDA :",),
    "metal": ("MTL :", "Metal :"),
    "rocm": ("ROCm :", "HIP :"),
    "vulkan": ("Vulkan :",),
}
"""How each backend begins its part of llama.cpp's system info."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the system shows, whether or not llama.cpp can use it."""

    name: str
    accelerator: Accelerator


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware, and how much of it is free. Sizes in bytes."""

    system: str
    cpu: str
    processors: int
    """Hardware threads of the machine."""
    cores: int
    """Physical cores that this process may use."""
    threads: int
    """What decode will use."""
    quota: float | None
    """Processors' worth of time that the control group allows."""
    load: float
    """Average of the last minute."""
    free: int
    limited_by: str
    swap_used: int
    spin_count: str
    """GOMP_SPINCOUNT as the user set it, or empty."""
    gpus: tuple[Gpu, ...]
    nvcc: bool
    bandwidth: float = 0.0
    """Bytes of memory that are read in a second, as it was measured before; 0 where it was not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should be otherwise."""

    kind: Literal["problem", "slow"]
    """`problem` is broken or unsafe; `slow` works."""
    what: str
    hints: tuple[str, ...] = ()
    """Commands or next steps, one a line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory."""

    name: str
    path: str
    mode: str
    """In octal; empty where the directory is not there yet."""
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out. `findings` are those that only show while the facts are collected."""

    versions: dict[str, str]
    build: Build
    machine: Machine
    places: tuple[Place, ...]
    files: dict[str, str]
    hosts: tuple[str, ...]
    last_crash: str
    """What the engine's log says of it, or empty."""
    gpu_layers: int
    findings: tuple[Finding, ...] = ()


def findings(facts: Facts) -> list[Finding]:
    """Returns everything that is wrong, problems first."""
    found = [
        *facts.findings,
        *_of_places(facts.places),
        *_of_build(facts.build, facts.machine, facts.gpu_layers),
        *_of_machine(facts.machine),
    ]
    return sorted(found, key=lambda finding: finding.kind)


def _of_places(places: tuple[Place, ...]) -> Iterator[Finding]:
    for place in places:
        if not place.is_ours:
            yield Finding("problem", f"{place.path} belongs to another user", ("llmchat paths",))
        elif int(place.mode or "0", 8) & _OTHERS:
            what = f"{place.path} is open to other users of this machine (mode {place.mode})"
            yield Finding("problem", what, (f"chmod 700 {_quoted(place.path)}",))


def _of_build(build: Build, machine: Machine, gpu_layers: int) -> Iterator[Finding]:
    if build.error:
        what = f"llama.cpp cannot be loaded: {build.error}"
        wanted = machine.gpus[0].accelerator if machine.gpus else "cpu"
        yield Finding("problem", what, reinstall_hints(wanted))
        return
    if machine.gpus and not build.supports_gpu:
        yield _unused(machine.gpus[0], build, machine)
    elif build.supports_gpu and gpu_layers == 0:
        yield Finding("slow", "the GPU is not used: gpu_layers is 0", ("llmchat config set gpu_layers -1",))
    if build.amx == "crashes":
        what = "AMX is switched off: this CPU lists it and crashes on it, so reading a prompt is slower"
        again = "it is tried again by itself after an update of the kernel or of llama.cpp"
        yield Finding("slow", what, (again,))


def _unused(gpu: Gpu, build: Build, machine: Machine) -> Finding:
    if any(name in build.system_info for name in _BACKENDS.get(gpu.accelerator, ())):
        what = f"{gpu.name} is here and llama.cpp was built for it, but finds no device: the driver may be too old"
        return Finding("slow", what, ("nvidia-smi",) if gpu.accelerator == "cuda" else ())
    hints = reinstall_hints(gpu.accelerator)
    if gpu.accelerator == "cuda" and not machine.nvcc:
        hints = ("install the CUDA toolkit first: nvcc is not found", *hints)
    return Finding("slow", f"{gpu.name} is not used: llama.cpp was built for the CPU alone", hints)


def _of_machine(machine: Machine) -> Iterator[Finding]:
    if machine.load > BUSY * machine.processors:
        what = f"the machine is busy: a load of {machine.load:.1f} on {machine.processors} processors"
        yield Finding("slow", what, ("see what runs: top",))
    if machine.swap_used > SWAP_NOTED:
        what = f"{size_text(machine.swap_used)} are in swap: weights that are read back from disk slow every token"
        yield Finding("slow", what, ("close other programs, or choose a smaller model with -m",))
    if machine.threads > machine.cores:
        what = f"{machine.threads} threads share {machine.cores} cores: they wait for each other at every layer"
        yield Finding("slow", what, ("llmchat config set threads 0",))
    if machine.spin_count.isdecimal() and int(machine.spin_count) >= LONG_SPIN:
        what = f"GOMP_SPINCOUNT is {machine.spin_count}: threads that wait burn the time of those that work"
        yield Finding("slow", what, ("unset GOMP_SPINCOUNT; llmchat stop",))


def reinstall_hints(accelerator: Accelerator) -> tuple[str, ...]:
    """Returns the commands that build llama.cpp anew, one for each way to install.

    Args:
        accelerator: What it shall run on.
    """
    commands = (f"{installer}: {command}" for installer, command in install_commands(accelerator).items())
    checkout = f"in a checkout: make chat LLMCHAT_BUILD={accelerator}"
    return ("REPOSITORY is the address of llmchat's repository, without https://", *commands, checkout)


def size_text(count: float) -> str:
    """Returns bytes for people."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def _quoted(path: str) -> str:
    from shlex import quote

    return quote(path)
