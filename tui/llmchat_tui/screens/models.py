"""The choice of a model among those on this machine, or by the path of a file.

Names and sizes stand there at once; a thread reads the headers and tells of each. Loads nothing and saves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from llmchat_engine.models.library import LocalModel
from llmchat_tui.bindings import bindings_of
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.model_facts import ModelFacts, free_memory, path_in, read_facts, with_current
from llmchat_tui.screens.model_rows import Columns, columns_for, header_row, model_row
from llmchat_tui.screens.panel import Panel, SafeInput, is_open, line
from llmchat_tui.screens.small_model import small_model_command

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key


@dataclass(frozen=True, slots=True)
class ModelChosen:
    """The model to use from now on."""

    path: Path
    make_default: bool
    """Whether at every start too."""


@dataclass
class FactsRead(Message):
    """A header was read, in the thread."""

    path: Path
    facts: ModelFacts
    typed: bool = False
    """Whether the user named the file by its path and waits for it."""


class ModelsScreen(Panel[ModelChosen | None]):
    """Lists models; typing narrows the list, or names a file."""

    DEFAULT_CSS = """
    ModelsScreen > #panel { max-width: 110; height: 100%; max-height: 40; }
    ModelsScreen #list { height: 1fr; margin-top: 1; }
    ModelsScreen.-low #list { margin-top: 0; }
    ModelsScreen.-low > #panel > .heading { display: none; }
    ModelsScreen OptionList { height: auto; max-height: 1fr; background: transparent; }
    ModelsScreen #columns { height: 1; color: $text-muted; }
    ModelsScreen.-narrow #columns { display: none; }
    ModelsScreen.-low .warning { max-height: 2; }
    ModelsScreen #problem { display: none; }
    """

    def __init__(self, models: Sequence[LocalModel], current: Path | None, models_dir: Path, reason: str = "") -> None:
        """Shows nothing yet.

        Args:
            models: what `find_models` found.
            current: the file in use.
            models_dir: where models are kept.
            reason: why the user is asked, or empty.
        """
        super().__init__("Models on this machine")
        self._models = with_current(list(models), current)
        self._current, self._models_dir, self._reason = current, models_dir, reason
        self._facts: dict[Path, ModelFacts] = {}
        self._shown: list[LocalModel] = []
        self._columns = Columns(0, 0, 0)

    def compose_body(self) -> ComposeResult:
        """Yields the reason, the filter, the list, and where to put files."""
        if self._reason:
            yield line(self._reason, "warning")
        what = "filter, or the path of a GGUF file" if self._models else "the path of a GGUF file"
        yield ModelFilter(placeholder=what, compact=True)
        yield Static(id="problem", classes="error")
        with Vertical(id="list"):
            if not self._models:
                yield Static(nothing_here(self._models_dir))
            yield Static(id="columns")
            yield ModelList(compact=True, disabled=not self._models)

    def on_mount(self) -> None:
        """Begins to read the headers."""
        if self._models:
            self.run_worker(self._read_all, thread=True, group="headers", exclusive=True)

    def on_resize(self) -> None:
        """Writes the rows for this width."""
        self.call_after_refresh(self._write)

    def on_facts_read(self, message: FactsRead) -> None:
        """Fills in a row, or takes the file that was named."""
        self._facts[message.path] = message.facts
        if not is_open(self):
            return
        if not message.typed:
            self._fill_in(message.path)
        elif message.facts.problem:
            self._tell(f"{message.path}: {message.facts.problem}")
        else:
            self.dismiss(ModelChosen(message.path, make_default=False))

    def on_input_changed(self) -> None:
        """Narrows the list."""
        self._tell("")
        self._write()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the file that was named, else the model under the cursor."""
        if path := path_in(event.value):
            self.run_worker(lambda: self._read_typed(path), thread=True, group="typed", exclusive=True)
        else:
            self._choose(make_default=False)

    def on_option_list_option_selected(self) -> None:
        """Takes the model under the cursor."""
        self._choose(make_default=False)

    def on_model_list_default_chosen(self) -> None:
        """Takes the model under the cursor for every start."""
        self._choose(make_default=True)

    def _choose(self, make_default: bool) -> None:
        highlighted = self.query_one(ModelList).highlighted
        if highlighted is not None:
            self.dismiss(ModelChosen(self._shown[highlighted].path, make_default))
        elif self._models:
            self._tell("no model here can be used that has this in its name")

    def _read_all(self) -> None:
        """Reads header after header, in its thread."""
        from textual.worker import get_current_worker

        worker, free = get_current_worker(), free_memory()
        for model in self._models:
            if worker.is_cancelled:
                return
            self.post_message(FactsRead(model.path, read_facts(model.path, free)))

    def _read_typed(self, path: Path) -> None:
        """Reads the header of the file that the user named, in its thread."""
        self.post_message(FactsRead(path, read_facts(path, free_memory()), typed=True))

    def _tell(self, problem: str) -> None:
        """Shows what is wrong with the file that was named."""
        widget = self.query_one("#problem", Static)
        widget.display = bool(problem)
        widget.update(Content(sanitize_line(problem)))

    def _write(self) -> None:
        """Writes all rows; the cursor stays on its model."""
        options = self.query_one(ModelList)
        before = self._shown[options.highlighted].path if options.highlighted is not None else self._current
        wanted = self.query_one(Input).value.strip().casefold()
        wanted = "" if path_in(wanted) else wanted
        self._shown = [model for model in self._models if wanted in model.name.casefold()]
        self._columns = columns_for(self._models, self._models_dir, self.query_one("#list").size.width - 1)
        self.query_one("#columns", Static).update(header_row(self._columns) if self._models else "")
        options.set_options(self._option(model) for model in self._shown)
        usable = [index for index, option in enumerate(options.options) if not option.disabled]
        kept = [index for index in usable if self._shown[index].path == before]
        options.highlighted = next(iter((*kept, *usable)), None)

    def _fill_in(self, path: Path) -> None:
        """Writes the rows of one file."""
        options = self.query_one(ModelList)
        for index, model in enumerate(self._shown):
            if model.path == path and index < options.option_count:
                options.replace_option_prompt_at_index(index, self._row(model))
                if self._is_broken(model):
                    options.disable_option_at_index(index)
        if options.highlighted_option and options.highlighted_option.disabled:
            options.highlighted = None
        options.scroll_to_highlight()  # a reason that came in above pushes the row down

    def _option(self, model: LocalModel) -> Option:
        return Option(self._row(model), disabled=self._is_broken(model))

    def _row(self, model: LocalModel) -> Content:
        facts = self._facts.get(model.path)
        return model_row(model, facts, self._columns, current=model.path == self._current, models_dir=self._models_dir)

    def _is_broken(self, model: LocalModel) -> bool:
        return model.path in self._facts and bool(self._facts[model.path].problem)


class ModelFilter(SafeInput):
    """The filter; the arrows walk the list while it keeps the focus, Enter takes the model under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "use"),
        Binding("up", "to_list", "list", show=False),
        Binding("down", "to_list", "list"),
    ]

    def action_to_list(self) -> None:
        """Goes to the list, where there is one."""
        self.screen.query_one(ModelList).focus()


class ModelList(OptionList):
    """The list; what is typed on it goes to the filter."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("models"), Binding("slash", "to_filter", "filter")]

    class DefaultChosen(Message):
        """The model under the cursor is to be used at every start."""

    def action_use_model(self) -> None:
        """Takes the model under the cursor."""
        self.action_select()

    def action_default_model(self) -> None:
        """Takes the model under the cursor for every start."""
        self.post_message(self.DefaultChosen())

    def action_to_filter(self) -> None:
        """Goes to the filter."""
        self.screen.query_one(ModelFilter).focus()

    def action_cursor_up(self) -> None:
        """Goes up, from the first row to the filter."""
        before = self.highlighted
        first = next((index for index, option in enumerate(self.options) if not option.disabled), None)
        if before is None or before == first:
            self.action_to_filter()
        else:
            super().action_cursor_up()

    def on_key(self, event: Key) -> None:
        """Begins to filter."""
        if event.is_printable and event.character and event.key not in self.screen.active_bindings:
            field = self.screen.query_one(ModelFilter)
            field.focus()
            field.insert_text_at_cursor(event.character)
            event.stop()


def nothing_here(models_dir: Path) -> Content:
    """Returns what to do where there is no model at all."""
    return Content.assemble(
        "There is no model here yet. Put a GGUF file into\n",
        (sanitize_line(str(models_dir)), "$text-accent"),
        "\nor install the small one:\n",
        (sanitize_line(small_model_command()), "$text-accent"),
    )
