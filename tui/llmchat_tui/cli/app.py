"""What every command is given: paths, settings, console, and the ways to open an engine and the chats.

The one place where the rooms are wired together. Nothing heavy is imported until a command asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_tui.config import Config, load_config
from llmchat_tui.console import ColorChoice, Console, find_look
from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.paths import Paths, find_paths, private_dir, private_runtime_dir

if TYPE_CHECKING:
    from llmchat_engine import Engine, ModelSpec, RemoteSpec, Spec
    from llmchat_engine.remote.greeting import Greeting
    from llmchat_engine.types import CacheType
    from llmchat_rag.types import Embedder
    from llmchat_tui.documents import Documents
    from llmchat_tui.history import History
    from llmchat_tui.turn import Turn

MakeEngine = Callable[["Spec", float], "Engine"]
OpenEmbedder = Callable[[str, Path, bool], "Embedder"]
"""From a model, where its exports are kept and whether passages are embedded too, to what makes vectors."""


@dataclass
class App:
    """One run of the program. A test hands in an environment, an engine and an embedder of its own."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    make_engine: MakeEngine | None = None
    open_embedder: OpenEmbedder | None = None
    debug: bool = False
    _names: dict[Spec, tuple[str, ...]] = field(default_factory=dict, init=False)
    """What each model that was chosen may be called in the config."""
    _greetings: dict[RemoteSpec, Greeting] = field(default_factory=dict, init=False)
    """What servers have said of themselves in this run."""

    @cached_property
    def paths(self) -> Paths:
        """Where things live."""
        return find_paths(self.environ)

    @cached_property
    def config(self) -> Config:
        """The settings, without flags."""
        return load_config(self.paths.config_file, self.environ)

    def console(self, color: ColorChoice | None = None, quiet: bool = False) -> Console:
        """Returns the console of a command with these flags."""
        chosen = color or self.config.settings.color
        return Console(sys.stderr, find_look(sys.stdout, sys.stderr, self.environ, chosen, quiet))

    @contextmanager
    def engine(self, spec: Spec, keepalive: float | None = None) -> Iterator[Engine]:
        """Yields an engine of this model, and leaves it."""
        engine = self.new_engine(spec, keepalive)
        try:
            yield engine
        finally:
            engine.close()

    def new_engine(self, spec: Spec, keepalive: float | None = None) -> Engine:
        """Returns an engine of this model, which the caller closes."""
        seconds = self._keepalive(spec) if keepalive is None else keepalive
        return (self.make_engine or self._own_engine)(spec, seconds)

    def embedder(self, *, passages: bool) -> Embedder:
        """Returns what makes vectors of questions, and of passages too.

        Raises:
            EmbedderError: it is not on this machine, or cannot be used.
        """
        from llmchat_tui.pulled_folders import embedder_in

        home = private_dir(self.paths.embedders_dir)
        wanted = embedder_in(self.paths.models_dir, self.config.settings.embedder)
        return (self.open_embedder or _local_embedder)(wanted, home, passages)

    @contextmanager
    def documents(self, turn: Turn) -> Iterator[Documents | None]:
        """Yields the documents of this user to a turn that asks for them, None to any other."""
        if turn.asked is None:
            yield None
            return
        with self.open_documents() as documents:
            yield documents

    @contextmanager
    def open_documents(self) -> Iterator[Documents]:
        """Yields the documents of this user; nothing of them is opened before it is asked for."""
        from llmchat_tui.documents import Documents
        from llmchat_tui.pulled_folders import embedder_in, reranker_in

        settings, paths = self.config.settings, self.paths
        documents = Documents(
            paths.docs_dir,
            paths.embedders_dir,
            embedder_in(paths.models_dir, settings.embedder),
            reranker_in(paths.models_dir, settings.reranker),
            settings.vector_server,
            encoder=partial(self.embedder, passages=False),
        )
        try:
            yield documents
        finally:
            documents.close()

    def forget_config(self) -> None:
        """Has the settings read again when they are next needed."""
        self.__dict__.pop("config", None)

    def forget_chat(self, conversation_id: str) -> bool:
        """Drops what the engine keeps of a chat, also where nothing is kept any more; False where the disk refused."""
        from llmchat_engine.hosts import forget_chat

        return forget_chat(self.paths.runtime_dir, self.paths.kv_dir, conversation_id)

    def _own_engine(self, spec: Spec, keepalive: float) -> Engine:
        from llmchat_engine import ModelSpec

        if isinstance(spec, ModelSpec):
            return self._local_engine(spec, keepalive)
        from llmchat_engine.remote import RemoteEngine

        return RemoteEngine(spec, self.environ, self._greetings)

    def _local_engine(self, spec: ModelSpec, keepalive: float) -> Engine:
        from llmchat_engine.client import LocalEngine
        from llmchat_engine.launch import Places

        runtime = private_runtime_dir(self.paths.runtime_dir)
        settings = self.config.settings
        places = Places(
            runtime,
            private_dir(self.paths.log_dir),
            private_dir(self.paths.state_dir),
            kv=self._kv_dir() if settings.kv_cache else None,
            kv_budget=int(settings.kv_cache_gib * 2**30),
        )
        return LocalEngine(spec, places, keepalive=keepalive)

    def _kv_dir(self) -> Path:
        """Returns where chats are kept as the model saw them; where nothing can be written, no question fails."""
        with suppress(StorageUnwritable):
            private_dir(self.paths.kv_dir)
        return self.paths.kv_dir

    def spec(
        self,
        model: str,
        *,
        ctx: int | None = None,
        gpu_layers: int | None = None,
        threads: int | None = None,
        batch: int | None = None,
        cache_type_k: CacheType | None = None,
        cache_type_v: CacheType | None = None,
        base_url: str = "",
    ) -> Spec:
        """Returns the model to load, or the server to ask: flags first, then its own settings, then those of all.

        Raises:
            ModelChoiceError: no model was chosen.
            ModelMissing: the name fits none or several.
            UsageError: a server was named that nothing tells the address of.
        """
        from llmchat_engine import ModelSpec
        from llmchat_tui.cli.model_choice import choice_of
        from llmchat_tui.model_options import meant, names_of
        from llmchat_tui.remote_choice import is_remote

        settings = self.config.settings
        *aliases, wanted = meant(model or ("" if base_url else settings.model), self.config.tables)
        if is_remote(wanted, base_url):
            return self._remote_spec(wanted, aliases, base_url, ctx)
        if base_url:
            raise UsageError(
                "--base-url is about a server", f"{model} is none", f"-m openai:{model} --base-url {base_url}"
            )
        chosen = choice_of(wanted, self.paths.models_dir, self.environ)
        names = names_of(chosen.path, chosen.name, aliases)
        own = self._options(names)
        spec = ModelSpec(
            chosen.path,
            n_ctx=own.get("ctx", settings.ctx) if ctx is None else ctx,
            gpu_layers=own.get("gpu_layers", settings.gpu_layers) if gpu_layers is None else gpu_layers,
            threads=own.get("threads", settings.threads) if threads is None else threads,
            batch=own.get("batch", settings.batch) if batch is None else batch,
            cache_type_k=cache_type_k or own.get("cache_type_k", settings.cache_type_k),
            cache_type_v=cache_type_v or own.get("cache_type_v", settings.cache_type_v),
            rpc_servers=tuple(settings.rpc_servers.replace(",", " ").split()),
        )
        self._names[spec] = names
        return spec

    def _remote_spec(self, wanted: str, aliases: list[str], base_url: str, ctx: int | None) -> RemoteSpec:
        """Returns the server that a name means."""
        from llmchat_tui.remote_choice import names_of_remote, remote_spec

        config = self.config
        setting = config.settings.base_url
        spec = remote_spec(wanted, config.tables.remotes, flag=base_url, setting=setting, ctx=ctx)
        self._names[spec] = (*names_of_remote(spec), *reversed(aliases))
        return spec

    def own_options(self, spec: Spec) -> Mapping[str, Any]:
        """Returns the settings that a model has to itself, under the names that it was chosen by."""
        from llmchat_engine import ModelSpec
        from llmchat_tui.model_options import names_of

        return self._options(self._names.get(spec) or (names_of(spec.path) if isinstance(spec, ModelSpec) else ()))

    def _options(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        from llmchat_tui.model_options import options_of

        return options_of(self.config, names) if self.config.tables.options else {}

    def _keepalive(self, spec: Spec) -> float:
        """Returns how long an unused model stays loaded, by its own settings or those of all models."""
        own = self.own_options(spec)
        if "keepalive" not in own:
            return self.config.keepalive_seconds
        from llmchat_tui.config_values import parse_duration

        return parse_duration(str(own["keepalive"]))

    @contextmanager
    def history(self, *, keep: bool = True) -> Iterator[History]:
        """Yields the chats on disk, or with `keep` off an empty history in memory."""
        from llmchat_tui.history import History

        if keep:
            private_dir(self.paths.data_dir)
        history = History.open(self.paths.chats_db) if keep else History.in_memory()
        try:
            yield history
        finally:
            history.close()


def _local_embedder(spec: str, home: Path, passages: bool) -> Embedder:
    from llmchat_rag.embed.opening import open_embedder, open_query_encoder

    return (open_embedder if passages else open_query_encoder)(spec, home)
