"""The page of models as it is painted: rows, columns, cursor, and what threads tell. models.py has what the user does.

Names and sizes stand there at once; threads find out the rest (model_checks.py). Loads nothing and saves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from llmchat_engine.models.library import LocalModel
from llmchat_tui.pulls import Job, Pulls, State
from llmchat_tui.remote_choice import PREFIX
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens import model_checks as checks
from llmchat_tui.screens.model_entries import Download, Entry, Offer, Search, Server, entries_of, same
from llmchat_tui.screens.model_facts import ModelFacts, with_current
from llmchat_tui.screens.model_list import ModelFilter, ModelList
from llmchat_tui.screens.model_rows import (
    Columns,
    Note,
    columns_of,
    head_line,
    header_row,
    model_row,
    offer_row,
    remote_row,
    search_row,
)
from llmchat_tui.screens.panel import Panel, is_open, line, live_key
from llmchat_tui.screens.pull_rows import pull_row
from llmchat_tui.screens.small_model import small_model_command
from llmchat_tui.stock import Stock
from llmchat_tui.trying import Trying

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_engine.models.trials import Trial

HEADING = "Models on this machine"


@dataclass(frozen=True, slots=True)
class ModelChosen:
    """The model to use from now on."""

    name: str
    """As `-m` takes it: the path of a file, or a server."""
    make_default: bool
    """Whether at every start too."""


class PullsChanged(Message):
    """A download went on, in its thread."""


class ModelPage(Panel[ModelChosen | None]):
    """Lists models, servers and downloads; what is typed narrows the list."""

    DEFAULT_CSS = """
    ModelPage > #panel { max-width: 110; height: 100%; max-height: 40; }
    ModelPage #list { height: 1fr; margin-top: 1; }
    ModelPage.-low #list { margin-top: 0; }
    ModelPage.-low > #panel > .heading { display: none; }
    ModelPage OptionList { height: auto; max-height: 1fr; background: transparent; }
    ModelPage #columns { height: 1; color: $text-muted; }
    ModelPage.-narrow #columns { display: none; }
    ModelPage.-low .warning, ModelPage.-low KeyLine { max-height: 2; }
    ModelPage #problem { display: none; }
    """

    def __init__(
        self, models: Sequence[LocalModel], current: str, stock: Stock, pulls: Pulls, reason: str = ""
    ) -> None:
        """Shows nothing yet.

        Args:
            models: those on this machine.
            current: what is in use, as `-m` takes it; empty where nothing is.
            stock: finds out the rest.
            pulls: what is being downloaded.
            reason: why the user is asked, or empty.
        """
        super().__init__(HEADING)
        self.stock, self.pulls, self.reason, self.current = stock, pulls, reason, current
        self.path = Path(current) if current and not current.startswith(PREFIX) else None
        self.models = with_current(list(models), self.path)
        self.facts: dict[Path, ModelFacts] = {}
        self._notes: dict[Path, Note] = {}
        self._entries: list[Entry] = []
        self._states: dict[str, State] = {}
        self._columns = Columns(0, 0, 0)
        self._hub_name = stock.hub_name
        self._trying = Trying(stock, self._tried)

    def compose_body(self) -> ComposeResult:
        """Yields the reason, the field, the list, and where to put files."""
        if self.reason:
            yield line(self.reason, "warning")
        # What the list hands over would be selected by the focus that follows, and go with the next key.
        hint = "filter, user/repo to pull, or the path of a GGUF file"
        yield ModelFilter(placeholder=hint, compact=True, select_on_focus=False)
        yield Static(id="problem", classes="error", markup=False)
        with Vertical(id="list"):
            if not self.models:
                yield Static(nothing_here(self.stock.models_dir), id="nothing")
            yield Static(id="columns", markup=False)
            yield ModelList(compact=True, markup=False)

    def on_mount(self) -> None:
        """Begins to read the headers, and follows the downloads."""
        self._states = {job.key: job.state for job in self.pulls.jobs}
        self.pulls.follow(self._pulls_changed)
        self._read_all()

    def on_unmount(self) -> None:
        """Follows them no longer; they go on."""
        self.pulls.unfollow(self._pulls_changed)
        self._trying.stop()

    def on_resize(self) -> None:
        """Writes the rows for this width."""
        self.call_after_refresh(self.write)

    # --- what threads tell -------------------------------------------------------------------------------------------

    def on_machine_read(self, message: checks.MachineRead) -> None:
        """Shows what models can run on."""
        if is_open(self):
            told = (f"   {head_line(message.machine, message.total)}", "not bold $text-muted")
            self.query_one(".heading", Static).update(Content.assemble(HEADING, told))

    def on_facts_read(self, message: checks.FactsRead) -> None:
        """Fills in a row, or takes the file that was named."""
        self.facts[message.path] = message.facts
        if not is_open(self):
            return
        if not message.typed:
            self._fill_in(message.path)
        elif message.facts.problem:
            self.tell(f"{message.path}: {message.facts.problem}")
        else:
            self.dismiss(ModelChosen(str(message.path), make_default=False))

    def on_all_read(self) -> None:
        """Begins to try what was never loaded and may fit."""
        facts = ((model.path, self.facts.get(model.path)) for model in self.models)
        self._trying.start([path for path, found in facts if found and not found.problem and found.fit != "no"])

    def on_noted(self, message: checks.Noted) -> None:
        """Shows how a check goes, or went."""
        if is_open(self):
            self.note(message.path, message.note)

    def on_models_found(self, message: checks.ModelsFound) -> None:
        """Shows what is there now."""
        if is_open(self):
            self.models = with_current(message.models, self.path)
            self.query("#nothing").set(display=not self.models)
            self.write()
            self._read_all()

    def on_told(self, message: checks.Told) -> None:
        """Shows what cannot be done."""
        if is_open(self):
            self.tell(message.text)

    def on_pulls_changed(self) -> None:
        """Shows how far downloads are; looks for models again where one has come."""
        if not is_open(self):
            return
        states = {job.key: job.state for job in self.pulls.jobs}
        before, self._states = self._states, states
        if any(states[key] == "done" and before.get(key) != "done" for key in states):
            self.in_thread(lambda: self.post_message(checks.ModelsFound(self.stock.find())), "find")
        if states != before:
            self.write()
            return
        for index, entry in enumerate(self._entries):
            if isinstance(entry, Download):
                self.query_one(ModelList).replace_option_prompt_at_index(index, self._row(entry))

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The row under the cursor."""
        at = self.query_one(ModelList).highlighted
        return self._entries[at] if at is not None and at < len(self._entries) else None

    @property
    def has_offer(self) -> bool:
        """Whether what was typed can be pulled."""
        return any(isinstance(entry, Offer) for entry in self._entries)

    def job(self, entry: Entry | None) -> Job | None:
        """Returns the download that a row is about."""
        return self.pulls.job(entry.key) if isinstance(entry, Download) else None

    def is_broken(self, entry: Entry) -> bool:
        """Returns whether a row is a file that cannot be used."""
        facts = self.facts.get(entry.path) if isinstance(entry, LocalModel) else None
        return facts is not None and bool(facts.problem)

    def is_used(self, entry: Entry) -> bool:
        """Returns whether a row is what is in use."""
        if isinstance(entry, LocalModel):
            return entry.path == self.path
        return isinstance(entry, Server) and entry.name == self.current

    # --- threads -----------------------------------------------------------------------------------------------------

    def in_thread(self, work: Callable[[], object], group: str) -> None:
        """Does something in a thread, in place of what of its group is running."""
        self.run_worker(work, thread=True, group=group, exclusive=True, exit_on_error=False)

    def _read_all(self) -> None:
        stock, models, known = self.stock, list(self.models), frozenset(self.facts)

        def work() -> None:
            worker = get_current_worker()
            checks.read_all(stock, models, known, self.post_message, lambda: worker.is_cancelled)

        self.in_thread(work, "headers")

    def _tried(self, path: Path, trial: Trial) -> None:
        """Takes a verdict, in its thread."""
        facts = self.facts.get(path)
        if facts is not None and not trial.ok:
            with suppress(RuntimeError):  # the loop has gone: the program is leaving
                self.post_message(checks.FactsRead(path, checks.after_trial(facts, trial)))

    def _pulls_changed(self) -> None:
        with suppress(RuntimeError):
            self.post_message(PullsChanged())

    # --- painting ----------------------------------------------------------------------------------------------------

    def tell(self, problem: str) -> None:
        """Shows what is wrong, or what is asked."""
        widget = self.query_one("#problem", Static)
        widget.display = bool(problem)
        widget.update(Content(sanitize_line(problem)))

    def note(self, path: Path, note: Note) -> None:
        """Shows a line below a row."""
        self._notes[path] = note
        self._fill_in(path)

    def moved(self) -> None:
        """Has the keys of the row under the cursor shown."""
        self.refresh_bindings()

    def write(self, wanted: Entry | None = None) -> None:
        """Writes all rows.

        Args:
            wanted: the row that the cursor goes to; None leaves it on its own.
        """
        options, before = self.query_one(ModelList), wanted or self.entry
        remotes, typed = self.stock.tables.remotes, self.query_one(ModelFilter).value
        self._entries = entries_of(self.models, remotes, self.pulls.jobs, typed)
        width = self.query_one("#list").size.width - 1
        self._columns = columns_of(self.models, [PREFIX + name for name in remotes], self.stock.models_dir, width)
        self.query_one("#columns", Static).update(header_row(self._columns) if self.models else "")
        options.set_options(Option(self._row(entry)) for entry in self._entries)
        options.highlighted = self._cursor(before)
        self.call_after_refresh(options.scroll_to_highlight)  # rows have their heights only then
        self.moved()

    def _cursor(self, before: Entry | None) -> int | None:
        """Returns where the cursor goes: to what was typed, else where it was, else to what is in use or can be."""
        places = list(enumerate(self._entries))
        offered = [at for at, entry in places if isinstance(entry, Offer)]
        kept = [at for at, entry in places if same(entry, before) and not isinstance(entry, Search)]
        models = [at for at, entry in places if isinstance(entry, LocalModel | Server)]
        used = [at for at in models if self.is_used(self._entries[at])]
        usable = [at for at in models if not self.is_broken(self._entries[at])]
        return next(iter((*offered, *kept, *used, *usable)), 0 if places else None)

    def _fill_in(self, path: Path) -> None:
        """Writes the row of one file."""
        options = self.query_one(ModelList)
        for index, entry in enumerate(self._entries):
            if isinstance(entry, LocalModel) and entry.path == path and index < options.option_count:
                options.replace_option_prompt_at_index(index, self._row(entry))
        under = self.entry
        if under is not None and self.is_broken(under) and not options.has_focus:
            options.highlighted = self._cursor(None)  # nobody has walked there
        options.scroll_to_highlight()  # a reason that came in above pushes the row down
        self.moved()

    def _row(self, entry: Entry) -> Content:
        columns, current = self._columns, self.is_used(entry)
        match entry:
            case LocalModel(path=path):
                facts, note = self.facts.get(path), self._notes.get(path)
                return model_row(entry, facts, columns, current, self.stock.models_dir, note)
            case Server(name=name, remote=remote):
                return remote_row(name, remote, columns, current)
            case Offer(text=text):
                return offer_row(text, columns)
            case Search(words=words):
                return search_row(words, self._hub_name)
            case Download(key=key):
                job = self.pulls.job(key)
                return pull_row(job, columns.width, live_key(self, "resume_pull")) if job else Content("")


def nothing_here(models_dir: Path) -> Content:
    """Returns what to do where there is no model at all."""
    return Content.assemble(
        "There is no model here yet. Search the hub, put a GGUF file into\n",
        (sanitize_line(str(models_dir)), "$text-accent"),
        "\nor install the small one:\n",
        (sanitize_line(small_model_command()), "$text-accent"),
    )
