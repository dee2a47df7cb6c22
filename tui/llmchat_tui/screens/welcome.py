"""The first page where there is no model to talk to: what is missing, and each way out of it.

Needs no network, no config and no model; `find` is asked in a thread. Loads nothing. The hub is asked by its own page,
when the user opens that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from llmchat_engine import EngineError
from llmchat_engine.models.library import LocalModel
from llmchat_tui.errors import UserError
from llmchat_tui.messages import Copied
from llmchat_tui.progress_words import size_text
from llmchat_tui.pulls import Job, Pulls
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens import model_checks as checks
from llmchat_tui.screens.model_facts import path_in
from llmchat_tui.screens.panel import HEIGHTS, WIDTHS, KeyLine, is_on_top, is_open, line, selected_text, size_classes
from llmchat_tui.screens.pull_rows import pull_row
from llmchat_tui.screens.small_model import small_model_command
from llmchat_tui.stock import Stock

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_tui.screens.hub_search import Picked
    from llmchat_tui.screens.models import ModelChosen


@dataclass
class ModelsFound(Message):
    """The thread looked again."""

    models: list[LocalModel]


class PullsChanged(Message):
    """A download went on, in its thread."""


class WelcomeScreen(Screen[str | None]):
    """Ends with the model to use, as `-m` takes it, or None where the user leaves."""

    DEFAULT_CSS = """
    WelcomeScreen { align: center middle; background: $background; }
    WelcomeScreen > VerticalScroll {
        width: 100%; max-width: 76; height: auto; max-height: 100%; padding: 1 2;
        scrollbar-size-vertical: 1; scrollbar-background: $background;
    }
    WelcomeScreen.-low > VerticalScroll { padding: 0 1; }
    WelcomeScreen Static { height: auto; }
    WelcomeScreen .heading { text-style: bold; margin-bottom: 1; }
    WelcomeScreen .hint { color: $text-muted; }
    WelcomeScreen .error { color: $text-error; }
    WelcomeScreen #ways { margin: 1 0; }
    WelcomeScreen #pulling { display: none; margin-top: 1; }
    WelcomeScreen.-low .heading { display: none; }
    WelcomeScreen.-low #ways { margin: 0; }
    WelcomeScreen OptionList {
        height: auto; max-height: 12; background: transparent; text-wrap: nowrap; text-overflow: ellipsis;
    }
    WelcomeScreen:ansi OptionList > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold underline;
    }
    WelcomeScreen > KeyLine { dock: bottom; padding: 0 2; margin: 0; }
    WelcomeScreen.-low > KeyLine { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "bundled", "use it", show=False),
        Binding("m", "models", "models", show=False),
        Binding("p", "path", "file", show=False),
        Binding("c", "catalogue", "pull", show=False),
        Binding("s", "search", "search the hub", show=False),
        Binding("x", "stop", "stop the download"),
        Binding("y", "copy", "copy the command"),
        Binding("r", "look", "look again"),
        Binding("q,escape", "leave", "leave"),
        Binding("ctrl+c", "copy_or_leave", "copy", id="copy", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(
        self, reason: UserError | EngineError, stock: Stock, pulls: Pulls, find: Callable[[], list[LocalModel]]
    ) -> None:
        """Looks for nothing yet.

        Args:
            reason: why there is no model to talk to.
            stock: what the pages for more of them ask.
            pulls: what downloads one.
            find: returns the models on this machine; called in a thread.
        """
        super().__init__()
        self._reason, self._stock, self._pulls, self._find = reason, stock, pulls, find
        self._models: list[LocalModel] = []
        self._command = small_model_command()

    def compose(self) -> ComposeResult:
        """Yields the page."""
        self.add_class(*size_classes(*self.app.size))
        with VerticalScroll(can_focus=False):
            yield line("Welcome to llmchat", "heading")
            yield line(sentence(self._reason.what), "")
            yield line(sentence(self._reason.why), "hint")
            yield Static(id="problem", classes="error")
            yield Static(id="pulling", markup=False)
            yield Ways(id="ways", compact=True)
            yield Static(id="others")
        yield KeyLine()

    def on_mount(self) -> None:
        """Looks for models."""
        self._pulls.follow(self._pulls_changed)
        self._write_ways()
        self.query_one(Ways).focus(scroll_visible=False)
        self.action_look()

    def on_unmount(self) -> None:
        """Follows the downloads no longer."""
        self._pulls.unfollow(self._pulls_changed)

    def on_pulls_changed(self) -> None:
        """Shows how far a download is; the chat opens with a model that has come."""
        if not is_open(self):
            return
        here = next((job for job in self._pulls.jobs if job.state == "done" and self._is_model(job)), None)
        if here is not None:
            self.dismiss(str(here.path))
            return
        width = self.query_one(VerticalScroll).size.width - 4
        rows = [pull_row(job, width, "choosing it again") for job in self._pulls.jobs]
        pulling = self.query_one("#pulling", Static)
        pulling.display = bool(rows)
        pulling.update(Content("\n").join(rows))
        self.refresh_bindings()

    def on_models_found(self, message: ModelsFound) -> None:
        """Shows what can be used now."""
        if not is_open(self):
            return
        self._models = message.models
        self._write_ways()
        self.refresh_bindings()

    def on_facts_read(self, message: checks.FactsRead) -> None:
        """Takes the file that was named, or says why not."""
        if not is_open(self):
            return
        if message.facts.problem:
            self._tell(f"{message.path}: {message.facts.problem}")
        else:
            self.dismiss(str(message.path))

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Goes the way that was chosen."""
        await self.run_action(event.option.id or "look")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hides the key that copies the command where the small model is installed, and that of no download."""
        if action == "stop":
            return bool(self._pulls.unfinished)
        return not (action == "copy" and self._bundled)

    def action_bundled(self) -> None:
        """Takes the model that was installed as a package."""
        if self._bundled:
            self.dismiss(str(self._bundled.path))

    def action_models(self) -> None:
        """Lists all models."""
        if self._models:
            from llmchat_tui.screens.models import ModelsScreen

            self.app.push_screen(ModelsScreen(self._models, "", self._stock, self._pulls), self._chosen)

    def action_path(self) -> None:
        """Asks for a file."""
        from llmchat_tui.screens.dialogs import TextScreen

        self.app.push_screen(TextScreen("Path of a GGUF file", "", "~/models/name.gguf"), self._named)

    def action_catalogue(self) -> None:
        """Opens the page of the hub with what is suggested for this machine."""
        self._open_hub(at_list=True)

    def action_search(self) -> None:
        """Opens the page of the hub to search."""
        self._open_hub(at_list=False)

    def action_stop(self) -> None:
        """Stops the downloads; what has come of them is kept."""
        for job in self._pulls.unfinished:
            self._pulls.cancel(job.key)

    def action_copy(self) -> None:
        """Copies the command that installs the small model."""
        self.post_message(Copied(self._command, "command"))

    def action_look(self) -> None:
        """Looks for models again."""
        self._tell("")
        self.run_worker(self._look, thread=True, group="look", exclusive=True)

    def action_leave(self) -> None:
        """Leaves without a model."""
        self.dismiss(None)

    def action_copy_or_leave(self) -> None:
        """Copies what is selected by mouse; leaves where nothing is."""
        if text := selected_text(self):
            self.post_message(Copied(text, "selection"))
        else:
            self.action_leave()

    def dismiss(self, result: str | None = None) -> AwaitComplete:
        """Ends the page with a model or none; a second key that was pressed meanwhile ends nothing."""
        return super().dismiss(result) if is_on_top(self) else AwaitComplete()

    @property
    def _bundled(self) -> LocalModel | None:
        return next((model for model in self._models if model.origin == "package"), None)

    def _look(self) -> None:
        """Looks for models, in its thread."""
        self.post_message(ModelsFound(self._find()))

    def _chosen(self, chosen: ModelChosen | None) -> None:
        if chosen:
            self.dismiss(chosen.name)

    def _open_hub(self, *, at_list: bool) -> None:
        from llmchat_tui.screens.hub_search import HubScreen

        self.app.push_screen(HubScreen(self._stock, at_list=at_list), self._picked)

    def _picked(self, picked: Picked | None) -> None:
        if picked is not None:
            self._pulls.add(picked.reference, picked.repo, picked.variant)

    def _pulls_changed(self) -> None:
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.post_message(PullsChanged())

    def _is_model(self, job: Job) -> bool:
        return job.path is not None and (job.repo is None or job.repo.kind == "gguf")

    def _named(self, text: str | None) -> None:
        if text and text.strip():
            path = path_in(f"./{text.strip()}" if path_in(text) is None else text) or Path(text)
            check = partial(checks.read_typed, self._stock, path, self.post_message)
            self.run_worker(check, thread=True, group="check", exclusive=True)

    def _tell(self, problem: str) -> None:
        """Says what is wrong with the file that was named."""
        widget = self.query_one("#problem", Static)
        widget.display = bool(problem)
        widget.update(Content(sanitize_line(problem)))

    def _write_ways(self) -> None:
        """Writes the ways that can be gone now; the cursor goes to the first."""
        ways = self.query_one(Ways)
        ways.set_options(ways_out(self._models, self._stock.hub_name))
        ways.highlighted = 0
        others = other_ways(self._stock.models_dir, "" if self._bundled else self._command)
        self.query_one("#others", Static).update(others)
        self.query_one(VerticalScroll).scroll_home(animate=False)


class Ways(OptionList):
    """The ways out; each has a key of its own too. Beyond its ends the arrows scroll the page."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "go"),
    ]

    def action_cursor_down(self) -> None:
        """Goes down, from the last way into the text below."""
        if self.highlighted == self.option_count - 1:
            self.screen.query_one(VerticalScroll).scroll_down(animate=False)
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Goes up, once the page is back at its top."""
        page = self.screen.query_one(VerticalScroll)
        if page.scroll_offset.y > 0 or self.highlighted == 0:
            page.scroll_up(animate=False)
        else:
            super().action_cursor_up()


def ways_out(models: list[LocalModel], hub: str) -> list[Option]:
    """Returns the ways that lead to a model, the shortest first; an option's id is the action.

    Args:
        models: those on this machine.
        hub: the host that the last ways ask.
    """
    bundled = next((model for model in models if model.origin == "package"), None)
    ways: list[tuple[str, str, str, str]] = []
    if bundled:
        ways.append(("bundled", "b", f"Use {sanitize_line(bundled.name)}", f"{size_text(bundled.size)}, installed"))
    if any(model is not bundled for model in models):
        ways.append(("models", "m", "Choose a model", f"{len(models)} on this machine"))
    ways.append(("path", "p", "Name a GGUF file", "wherever it is"))
    ways.append(("catalogue", "c", "Pull a good model", f"suggested for this machine; asks {sanitize_line(hub)}"))
    ways.append(("search", "s", "Search the hub", f"asks {sanitize_line(hub)}"))
    return [
        Option(Content.assemble((f"{key}  ", "$text-accent"), text, (f"   {note}", "$text-muted")), id=action)
        for action, key, text, note in ways
    ]


def other_ways(models_dir: Path, command: str) -> Content:
    """Returns what can be done outside of llmchat, the command to be pasted as it is; none where it is not needed."""
    parts: list[str | tuple[str, str]] = [("Or put a GGUF file into\n", "$text-muted"), sanitize_line(str(models_dir))]
    if command:
        parts += [
            ("\nor install the small model (98 MB) in another terminal:\n", "$text-muted"),
            (sanitize_line(command), "$text-accent"),
        ]
    return Content.assemble(*parts, ("\nand press r.", "$text-muted"))


def sentence(text: str) -> str:
    """Returns a part of an error as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
