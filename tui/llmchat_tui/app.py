"""The full-screen chat: the toolkit's application around one chat screen. Wires; the chat itself is in screens/chat.py.

Owns the theme, the keys, the chosen model and the way out. From here on, and only from here, textual is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from functools import cached_property, partial
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen

from llmchat_engine import EngineError, ModelInfo, ModelSpec, Spec
from llmchat_rag.errors import RagError
from llmchat_tui.config import set_value
from llmchat_tui.desk import Desk
from llmchat_tui.driver import ChatDriver
from llmchat_tui.errors import UserError
from llmchat_tui.housekeeping import YOUNG_SECONDS, Housekeeper
from llmchat_tui.keymap import normal_keys
from llmchat_tui.leaving import Terminal, catch_signals, start_watchdog
from llmchat_tui.messages import Copied, ModelNews, TalkNews
from llmchat_tui.notices import fitted
from llmchat_tui.presence import Counted, ModelFailed, ModelReady, Presence, PresenceNews
from llmchat_tui.pulls import Job, left_words
from llmchat_tui.remote_choice import leaves_notice
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens import chat_pulls
from llmchat_tui.screens.chat import ChatScreen
from llmchat_tui.screens.chat_actions import use_model
from llmchat_tui.talk import News
from llmchat_tui.talks import Talks
from llmchat_tui.themes import own_themes, pick_theme

_STOP_SECONDS = 3.0
"""For replies to be stopped and recorded on the way out."""


_LOADING = frozenset(
    {"ctx", "gpu_layers", "threads", "batch", "cache_type_k", "cache_type_v", "kv_cache", "kv_cache_gib", "keepalive"}
)
"""Settings that a model is loaded with."""


class ChatApp(App[int], inherit_bindings=False):
    """The program on the screen."""

    TITLE = "llmchat"
    # At the top, where nothing is typed and nothing is counted.
    CSS = """
    ToastRack { dock: top; align: right top; margin: 0; scrollbar-size: 0 0; }
    Toast { width: 60; max-width: 90%; max-height: 3; margin: 0 0 1 0; padding: 0 1; }
    """
    # The chat screen opens the palette: the toolkit's own key for it could not be changed in the config.
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "quit", id="quit", priority=True, show=False),
        Binding("ctrl+z", "suspend_process", "suspend", id="suspend", show=False),
    ]

    def __init__(self, desk: Desk, driver: type[Driver] = ChatDriver) -> None:
        super().__init__(driver_class=driver)
        self.desk = desk
        self.spec: Spec | None = None
        """The model that new turns use; None until one is chosen."""
        self.model: ModelInfo | None = None
        """What is loaded; None before that."""
        self.presence: Presence | None = None
        self.model_news: PresenceNews | None = None
        """How it is, for a screen that was not there yet when it came."""
        self.talks = Talks(
            desk.history,
            self._engine,
            desk.sampling,
            self._tell,
            overflow=lambda: desk.overflow,
            store=lambda: desk.store,
            documents=desk.documents,
            asked=desk.asked,
        )
        self.terminal = Terminal()
        self.unfinished: tuple[Job, ...] = ()
        """Downloads that leaving has stopped."""
        self._leaving = False
        self._told_remotes: set[str] = set()
        for theme in own_themes():
            self.register_theme(theme)
        self.theme = pick_theme(desk.config.settings.theme, desk.environ, self.available_themes)
        self.set_keymap({action: normal_keys(keys) for action, keys in desk.config.keys.items()})

    def get_default_screen(self) -> Screen[Any]:
        """Returns the chat."""
        return self.chat

    @cached_property
    def chat(self) -> ChatScreen:
        """The chat screen, under whatever lies over it."""
        return ChatScreen(self.desk, self.talks)

    def on_mount(self) -> None:
        """Begins to load the model while the first screen is painted."""
        self.app_resume_signal.subscribe(self, self._paint_again)
        chat_pulls.follow(self.chat)
        if self.is_headless:
            self._choose_first()
            return
        catch_signals(self.leave, self.terminal)
        self._choose_first()
        self.set_interval(YOUNG_SECONDS, Housekeeper(lambda: bool(self.talks.running()) or self.chat.is_typing).tick)

    def _paint_again(self, _app: App[Any]) -> None:
        """Paints everything after the shell had the terminal: the toolkit paints what changed, and all of it did."""
        self.screen.refresh(layout=True)

    def _choose_first(self) -> None:
        try:
            self.use_model(self.desk.make_spec(self.desk.wanted_model))
        except (UserError, EngineError) as error:
            self.chat.call_after_refresh(self.chat.choose_first_model, error)

    def use_model(self, spec: Spec) -> None:
        """Loads a model in the background; turns from now on use it, those that run keep theirs."""
        if self.presence is not None:
            self.presence.close()
        self.spec, self.model = spec, None
        before, self.desk.in_use = self.desk.system, spec
        self.chat.follow_system(before)
        engine, tell = self.desk.make_engine(spec), partial(self._tell_model, spec)
        self.presence = Presence(engine, self.desk.history, tell, self.desk.with_files)

    def join_model_again(self) -> None:
        """Counts again after the host had died: a question has started another one."""
        if self.model is None and self.presence is not None:
            self.presence.reload()

    def make_default(self, name: str) -> None:
        """Writes the model into config.toml, as `-m` takes it."""
        set_value(self.desk.config.path, "model", name)

    def apply_settings(self, names: frozenset[str]) -> None:
        """Reads the settings again after some were changed."""
        try:
            self.desk.reload_config()
        except UserError as error:
            self.tell_error(error)
            return
        if "theme" in names:
            self.theme = pick_theme(self.desk.config.settings.theme, self.desk.environ, self.available_themes)
        if "embedder" in names:  # what is open of another model is let go once no search needs it
            self.run_worker(self.desk.documents.close, thread=True, group="documents", exit_on_error=False)
        self.chat.apply_settings(names)
        if "model" in names or (self.spec is None and names & _LOADING):
            self._choose_first()
        elif isinstance(self.spec, ModelSpec) and names & _LOADING:  # what was picked here stays, whatever they name
            use_model(self.chat, str(self.spec.path))

    def remember_theme(self, name: str) -> None:
        """Shows a theme and writes it into config.toml."""
        self.theme = name
        try:
            set_value(self.desk.config.path, "theme", name)
        except UserError as error:
            self.tell_error(error)

    def on_copied(self, message: Copied) -> None:
        """Copies to the terminal's and the desktop's clipboard, in a thread, and says how it went."""
        text, what = message.text, message.what

        def osc52(data: str) -> None:
            self.call_later(self.copy_to_clipboard, data)

        def work() -> None:
            from llmchat_tui.clipboard import copy

            self.call_later(self.tell, f"{what}: {copy(text, self.desk.environ, osc52)}")

        self.run_worker(work, thread=True, group="copy", exit_on_error=False)

    def tell(self, text: str, severity: str = "information", seconds: float = 4.0) -> None:
        """Shows a notice; its text is data."""
        level: Any = severity
        shown = fitted(sanitize_line(text), "", self.size.width)
        if all(notice.message != shown for notice in self._notifications):
            self.notify(shown, severity=level, timeout=seconds, markup=False)

    def tell_remote(self, model: ModelInfo) -> None:
        """Says where what is asked goes from now on, once for each server."""
        if model.remote and model.remote not in self._told_remotes:
            self._told_remotes.add(model.remote)
            self.tell(leaves_notice(model.remote), "warning", seconds=10)

    def tell_error(self, error: UserError | EngineError | RagError) -> None:
        """Shows what failed, why, and what helps."""
        shown = fitted(sanitize_line(str(error)), sanitize_line(error.hint), self.size.width)
        if all(notice.message != shown for notice in self._notifications):
            self.notify(shown, severity="error", timeout=10, markup=False)

    def _engine(self) -> Any:
        if self.spec is None:
            raise UserError("there is no model yet", "", "choose one: Ctrl+O")
        return self.desk.make_engine(self.spec)

    def _tell(self, news: News) -> None:
        """Takes news of a turn, from its thread."""
        with contextlib.suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.chat.post_message(TalkNews(news))

    def _tell_model(self, spec: Spec, news: PresenceNews) -> None:
        with contextlib.suppress(RuntimeError):
            self.call_later(self._take_model_news, spec, news)

    def _take_model_news(self, spec: Spec, news: PresenceNews) -> None:
        if spec is not self.spec:  # another model was chosen while this was on its way
            return
        if isinstance(news, ModelReady):
            self.model = news.model
        elif isinstance(news, ModelFailed):
            self.model = None
        if not isinstance(news, Counted):
            self.model_news = news
        self.chat.post_message(ModelNews(news))

    def action_leave(self) -> None:
        """Leaves; everything is saved."""
        self.leave(0)

    def leave(self, code: int) -> None:
        """Stops what runs, saves, and ends the app with an exit code. A second call does nothing."""
        if not self._leaving:
            self._leaving = True
            start_watchdog(code, self.terminal) if not self.is_headless else None
            self.run_worker(self._leave(code), exit_on_error=False)

    async def _leave(self, code: int) -> None:
        await asyncio.to_thread(self._save)
        self.exit(code, return_code=code)

    def _save(self) -> None:
        with contextlib.suppress(UserError):  # a full disk must not keep the user here
            self.chat.save_all()
        self.talks.close(_STOP_SECONDS)
        self.desk.close_documents(_STOP_SECONDS)
        self.unfinished = self.desk.close_pulls(_STOP_SECONDS)
        if self.presence is not None:
            self.presence.close()

    def _fatal_error(self) -> None:
        """Ends after a failure of ours without printing its local variables, which hold what the user wrote."""
        self._close_messages_no_wait()

    @property
    def failure(self) -> BaseException | None:
        """What ended the app, if it was no wish of the user."""
        return self._exception


def run_chat(desk: Desk) -> int:
    """Runs the chat on this terminal and returns its exit code."""
    app = ChatApp(desk)
    threading.excepthook = _ignore_after_exit(app)
    code = app.run()
    app.terminal.cook()
    with contextlib.suppress(OSError):  # the terminal has gone
        for job in app.unfinished:
            print(sanitize_line(f"llmchat: {left_words(job)}"), file=sys.stderr)
    if app.failure is not None:
        raise app.failure
    return code or 0


def _ignore_after_exit(app: ChatApp) -> Any:
    """Returns a hook that is silent about threads whose screen has gone, as after a hang-up."""
    before = threading.excepthook

    def hook(args: Any) -> None:
        if not app._leaving:
            before(args)

    return hook
