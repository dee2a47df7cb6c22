"""`llmchat pull`: brings a model from the hub, checks it and loads it once.

Which one is pulling.py's and pull_choice.py's, the download the engine's pull.py. Here is their order, what is told,
and how it ends.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.progress_words import size_text
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.client import Hub
    from llmchat_engine.models.hub.pull import Pulled
    from llmchat_engine.models.hub.types import HubRepo, Reference
    from llmchat_engine.models.trials import Trial
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.pulling import Chosen


@click.command()
@click.argument("reference", default="")
@click.option("--select", is_flag=True, help="Choose from a table of what the repository has.")
@click.option("--quant", default="", metavar="Q", help="The quantisation, such as Q4_K_M; INT4 and INT8 as words too.")
@click.option("--revision", default="", metavar="R", help="A branch, a tag or a commit of the repository.")
@click.option("--dry-run", is_flag=True, help="Tell what would be pulled, and why; pull nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about what was pulled.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks.")
@click.pass_context
def pull(context: click.Context, /, reference: str, **flags: Any) -> None:
    """Pull a model: USER/REPO, USER/REPO:QUANT, USER/REPO/FILE.gguf or an address of hf.co.

    Without a quantisation the best one for this machine is taken. Without REFERENCE, shows good models by the memory
    that they take, and pulls the one that is chosen. A pull that was stopped goes on where it was, also after a crash.
    Embedding and re-ranking models are pulled the same way.
    """
    from llmchat_tui.cli.interrupts import catch_signals

    app = context.ensure_object(App)
    with catch_signals() as interrupts:
        _Pull(app, Wanted(**flags), interrupts).run(reference)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The flags."""

    select: bool
    quant: str
    revision: str
    dry_run: bool
    as_json: bool
    quiet: bool


class _Pull:
    """One run of the command."""

    def __init__(self, app: App, wanted: Wanted, interrupts: Interrupts) -> None:
        self._app, self._wanted, self._interrupts = app, wanted, interrupts
        self._console = app.console(quiet=wanted.quiet)

    def run(self, text: str) -> None:
        """Pulls what is named, or lets somebody choose from the catalogue."""
        from llmchat_engine.models.fit.machine import read_machine
        from llmchat_engine.models.hub.client import Hub
        from llmchat_tui.cli.model_store import stock_of

        self._console.status("measuring this machine")
        machine = read_machine(self._app.paths.state_dir)
        self._console.clear_status()
        hub = Hub(self._app.environ)
        if not text and not (text := self._from_catalogue(hub, machine)):
            return
        reference = self._reference(text)
        self._console.status(f"asking {stock_of(self._app).hub_name} for {reference.repo}")
        repo = hub.repo(reference)
        self._console.clear_status()
        chosen = self._chosen(repo, reference, machine)
        if chosen is None:
            return
        self._tell(chosen, machine)
        if self._wanted.dry_run:
            self._print_plan(chosen, machine)
            return
        pulled = self._download(hub, chosen)
        trial = self._trial(pulled.paths[0]) if chosen.variant else None
        self._print(chosen, pulled, trial, machine)

    def _from_catalogue(self, hub: Hub, machine: Machine) -> str:
        from llmchat_tui.cli.pull_choice import choose_from_catalogue

        return choose_from_catalogue(hub, machine, self._console, as_json=self._wanted.as_json)

    def _reference(self, text: str) -> Reference:
        """Returns what was named, with the flags over it.

        Raises:
            RequestInvalid: it is no name of a model on the hub.
            UsageError: a flag says something else than the name.
        """
        from llmchat_engine.models.hub.names import parse_reference
        from llmchat_tui.errors import UsageError

        wanted, found = self._wanted, parse_reference(text)
        if wanted.quant:
            named = parse_reference(f"{found.repo}:{wanted.quant}").quant
            if found.file or found.quant not in ("", named):
                raise UsageError(
                    f"--quant {wanted.quant}", f"the name says {found.quant or found.file}", "leave one of them out"
                )
            found = replace(found, quant=named)
        if wanted.revision:
            revision = parse_reference(f"{found.repo}@{wanted.revision}").revision
            found = replace(found, revision=revision)
        return found

    def _chosen(self, repo: HubRepo, reference: Reference, machine: Machine) -> Chosen | None:
        """Returns what is to be pulled; None where a table was all that could be shown."""
        from llmchat_tui.pulling import choose

        if self._wanted.select and repo.kind == "gguf":
            from llmchat_tui.cli.pull_choice import choose_variant

            return choose_variant(repo, machine)
        return choose(repo, reference, machine)

    def _tell(self, chosen: Chosen, machine: Machine) -> None:
        """Tells what will be pulled, why, and under which licence."""
        from llmchat_tui.pulling import fits, why

        if self._wanted.quiet:
            return
        say, repo = self._console.say, chosen.repo
        say(f"{repo.name}: {why(chosen, machine)}")
        say(f"licence: {sanitize_line(repo.licence) or 'the repository names none'}")
        if repo.gated:
            say("gated: its owner lets in who accepted the terms on the repository's page; a token says who you are")
        if chosen.variant and fits(chosen.size, machine) == "no":
            self._console.warn("it does not fit into the free memory of this machine; it is pulled all the same")

    def _download(self, hub: Hub, chosen: Chosen) -> Pulled:
        """Downloads it; what is there of it stays whatever happens.

        Raises:
            Interrupted: a signal stopped it.
        """
        from llmchat_engine.models.hub.pull import pull, resume_state
        from llmchat_tui.cli.bar import watch
        from llmchat_tui.cli.interrupts import Interrupted

        models_dir, repo, files = self._app.paths.models_dir, chosen.repo, chosen.files
        here = resume_state(models_dir, repo, files)
        if 0 < here < chosen.size and not self._wanted.quiet:
            self._console.say(f"going on: {size_text(here)} of {size_text(chosen.size)} are here")
        try:
            return watch(self._console, pull(hub, repo, files, models_dir), self._interrupts)
        except Interrupted:
            here = resume_state(models_dir, repo, files)
            self._console.warn(
                f"stopped; {size_text(here)} of {size_text(chosen.size)} are kept, and this goes on: "
                f"{shlex.join(['llmchat', 'pull', chosen.call])}"
            )
            raise

    def _trial(self, path: Path) -> Trial:
        """Reads the header of what came, and has it loaded once in a process of its own.

        Raises:
            ModelUnreadable: it is no model that can be loaded.
        """
        from llmchat_engine import ModelUnreadable
        from llmchat_engine.errors import ModelError
        from llmchat_engine.models.gguf import read_header
        from llmchat_engine.models.trials import known_trial, try_model

        what, hint = f"{path.stem} was pulled whole, but it cannot be used", shlex.join(["llmchat", "rm", path.stem])
        try:
            read_header(path)
        except ModelError as error:  # its own hint is to download it again, and that would bring the same
            raise ModelUnreadable(what, error.why, hint) from None
        trial = known_trial(path, self._app.paths.state_dir)
        if trial is None:
            self._console.status(f"loading {path.stem} once")
            trial = try_model(path, self._app.paths.state_dir)
            self._console.clear_status()
        if trial.ok:
            return trial
        if not trial.lasting:
            self._console.warn(f"{path.stem} is here; {trial.why}")
            return trial
        raise ModelUnreadable(what, trial.why, hint)

    def _print_plan(self, chosen: Chosen, machine: Machine) -> None:
        from llmchat_engine.models.hub.pull import resume_state, target_path

        here = resume_state(self._app.paths.models_dir, chosen.repo, chosen.files)
        if self._wanted.as_json:
            print_json({**_facts(chosen, machine), "here": here, "dry_run": True})
            return
        for file in chosen.files:
            target = target_path(self._app.paths.models_dir, chosen.repo, file)
            print_rows([f"{size_text(file.size):>8}  {sanitize_line(str(target))}"])
        print_rows([f"{size_text(chosen.size):>8}  in all, {size_text(here)} of it are here"])

    def _print(self, chosen: Chosen, pulled: Pulled, trial: Trial | None, machine: Machine) -> None:
        """Prints what came, and the command that uses it."""
        use = self._use_of(chosen, pulled.paths[0])
        if self._wanted.as_json:
            print_json(
                {
                    **_facts(chosen, machine),
                    "paths": [str(path) for path in pulled.paths],
                    "fetched": pulled.fetched,
                    "seconds": round(pulled.seconds, 1),
                    "already_here": not pulled.fetched,
                    "trial": {"ok": trial.ok, "why": trial.why} if trial else None,
                    "use": use,
                }
            )
            return
        if pulled.fetched:
            rate = f" in {pulled.seconds:.0f} s" if pulled.seconds >= 1 else ""
            how = f"pulled {chosen.call} · {size_text(pulled.fetched)}{rate}"
        elif pulled.waited:
            how = f"{chosen.call} is here now: another llmchat pulled it"
        else:
            how = f"{chosen.call} is already here · {size_text(chosen.size)}"
        print_rows([sanitize_line(f"{how} · {'ask it' if chosen.variant else 'use it'}: {use}")])

    def _use_of(self, chosen: Chosen, path: Path) -> str:
        """Returns the command that uses what was pulled."""
        if chosen.variant is None:
            return shlex.join(["llmchat", "config", "set", chosen.repo.kind, chosen.repo.name])
        from llmchat_engine.models.library import find_models

        same = sum(model.name == path.stem for model in find_models(self._app.paths.models_dir))
        name = path.stem if same <= 1 else chosen.call
        return f"{shlex.join(['llmchat', 'ask', '-m', name])} '…'"


def _facts(chosen: Chosen, machine: Machine) -> dict[str, Any]:
    """Returns what is pulled as a JSON object."""
    from llmchat_tui.pulling import fits, speed

    repo, is_model = chosen.repo, chosen.variant is not None
    about = speed(chosen.size, chosen.variant.quant, machine) if chosen.variant else 0.0
    return {
        "repo": repo.name,
        "commit": repo.commit,
        "kind": repo.kind,
        "quantization": chosen.variant.quant if chosen.variant else "",
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in chosen.files],
        "size": chosen.size,
        "licence": repo.licence,
        "gated": repo.gated,
        "base_model": repo.base_model,
        "fits": fits(chosen.size, machine) or None if is_model else None,
        "tokens_per_second": round(about, 1) if about else None,
    }
