"""What the full-screen chat works with: history, settings, models, engines. Headless; made once, in the command.

Knows no screen. The chat asks the desk; only the desk knows where things come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmchat_engine import Engine, Sampling, Spec
from llmchat_tui.asked import Asked, by_settings
from llmchat_tui.config import Config
from llmchat_tui.documents import Documents
from llmchat_tui.errors import UserError
from llmchat_tui.history import Conversation, History
from llmchat_tui.inputs import Limits
from llmchat_tui.model_options import sampling_of
from llmchat_tui.paths import Paths
from llmchat_tui.places import working_directory
from llmchat_tui.pulled_folders import embedder_in, reranker_in
from llmchat_tui.pulls import Job, Pulls
from llmchat_tui.recipe import PLAIN, Recipe
from llmchat_tui.shelf import Shelf
from llmchat_tui.stock import Stock
from llmchat_tui.updates import Updates

if TYPE_CHECKING:
    from llmchat_engine.models.library import LocalModel
    from llmchat_rag.types import Embedder
    from llmchat_tui.attachments import Expanded
    from llmchat_tui.overflow import Overflow


@dataclass
class Desk:
    """Everything that a run of the chat is given."""

    paths: Paths
    environ: Mapping[str, str]
    history: History
    make_engine: Callable[[Spec], Engine]
    make_spec: Callable[[str], Spec]
    """Returns the model of a name or path, or of the settings where it is empty; raises what `choose_model` raises."""
    read_config: Callable[[], Config]
    """Reads config.toml and the environment anew."""
    sampling_over: Callable[[Sampling], Sampling]
    """Lays the flags of the command line over the settings' sampling."""
    config: Config
    own_options: Callable[[Spec], Mapping[str, Any]] = field(default=lambda _spec: {})
    """Returns the settings that a model has to itself."""
    in_use: Spec | None = None
    """The model that new questions go to."""
    wanted_model: str = ""
    """What the flag said; empty leaves the choice to the settings."""
    wanted_system: str | None = None
    """The system prompt that the flag gave for new chats."""
    wanted_collections: tuple[str, ...] = ()
    """The collections of documents that the flags gave for new chats."""
    wanted_recipe: Recipe = PLAIN
    """How the questions of new chats are asked, as the flags say."""
    wanted_sampling: Mapping[str, Any] = field(default_factory=dict)
    """What new chats keep as their own sampling, by name."""
    start: Conversation | None = None
    """The chat to go on with; None begins a new one."""
    wanted_overflow: Overflow | None = None
    """What the flag said; None leaves it to the settings."""
    no_kv_cache: bool = False
    """Whether the flag keeps this run's chats off the disk as the model sees them."""
    forget_chat: Callable[[str], object] = field(default=lambda _conversation_id: None)
    """Drops what the engine keeps of a chat, in memory and on disk; may take seconds."""
    open_embedder: Callable[[bool], Embedder] | None = None
    """Opens the embedding model, one that embeds passages too or one for questions; None opens the one for questions
    that the settings name."""

    def reload_config(self) -> None:
        """Reads the settings again.

        Raises:
            ConfigError: the file was broken meanwhile; the settings stay as they were.
        """
        self.config = self.read_config()

    @property
    def system(self) -> str:
        """The system prompt of new chats."""
        if self.wanted_system is not None:
            return self.wanted_system
        return str(self._own.get("system", self.config.settings.system))

    @property
    def _own(self) -> Mapping[str, Any]:
        """The settings that the model in use has to itself."""
        return self.own_options(self.in_use) if self.in_use else {}

    @property
    def overflow(self) -> Overflow:
        """What happens to the oldest messages when the context is full."""
        return self.wanted_overflow or self.config.settings.overflow

    @property
    def store(self) -> bool:
        """Whether chats may be kept on disk as the model saw them."""
        return self.config.settings.kv_cache and not self.no_kv_cache

    @cached_property
    def documents(self) -> Documents:
        """The documents of this user; nothing of them is opened before a chat asks."""
        settings, open_embedder = self.config.settings, self.open_embedder
        encoder = (lambda: open_embedder(False)) if open_embedder else None
        return Documents(
            self.paths.docs_dir,
            self.paths.embedders_dir,
            embedder_in(self.paths.models_dir, settings.embedder),
            reranker_in(self.paths.models_dir, settings.reranker),
            settings.vector_server,
            encoder=encoder,
            lasting=True,
        )

    @cached_property
    def shelf(self) -> Shelf:
        """The collections of documents."""
        return Shelf(self.paths.docs_dir, self._open_passage_embedder, self.config.settings.vector_server)

    @cached_property
    def updates(self) -> Updates:
        """What brings them to the state of their folders."""
        return Updates(self.shelf)

    @cached_property
    def stock(self) -> Stock:
        """The models, here and on the hub."""
        return Stock(self.paths.models_dir, self.paths.state_dir, self.environ, lambda: self.config)

    @cached_property
    def pulls(self) -> Pulls:
        """What downloads models."""
        return Pulls(self.stock)

    def _open_passage_embedder(self) -> Embedder:
        if self.open_embedder:
            return self.open_embedder(True)
        from llmchat_rag.embed.opening import open_embedder

        wanted = embedder_in(self.paths.models_dir, self.config.settings.embedder)
        return open_embedder(wanted, self.paths.embedders_dir)

    def close_pulls(self, seconds: float) -> tuple[Job, ...]:
        """Stops downloads, and returns those that had not ended; their parts are kept."""
        unfinished = self.pulls.unfinished
        self.pulls.close(seconds)
        return unfinished

    def close_documents(self, seconds: float) -> None:
        """Stops updates, and closes what is open of the documents."""
        self.updates.close(seconds)
        self.documents.close()

    def asked(self) -> Asked:
        """Returns how documents are searched, by the settings."""
        return by_settings(self.config.settings)

    def sampling(self) -> Sampling:
        """Returns the sampling of chats that set nothing themselves."""
        return self.sampling_over(sampling_of(self.config, self._own))

    @property
    def limits(self) -> Limits:
        """How much is read from files."""
        return Limits(self.config.settings.stdin_limit_mib)

    def expand(self, text: str) -> Expanded:
        """Returns a message with the files that it names.

        Raises:
            UserError: a file is too large or not text.
        """
        from llmchat_tui.attachments import expand

        return expand(text, self.limits, working_directory())

    def with_files(self, text: str) -> str:
        """Returns a draft as it would be sent; without its files where they cannot be read: sending it tells why."""
        try:
            return self.expand(text).question
        except UserError:
            return text

    def models(self) -> list[LocalModel]:
        """Returns the models on this machine."""
        return self.stock.find()
