"""The choice of a model: those on this machine, servers, downloads, a path, or one that is pulled.

What the user does on the page; how it is painted is in model_page.py. Loads nothing and saves nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widgets import Input
from textual.worker import get_current_worker

from llmchat_engine.models.library import LocalModel
from llmchat_tui.pulls import Job
from llmchat_tui.screens import model_checks as checks
from llmchat_tui.screens.model_entries import Download, Entry, Offer, Search, Server
from llmchat_tui.screens.model_facts import path_in
from llmchat_tui.screens.model_list import ModelFilter, ModelList
from llmchat_tui.screens.model_page import ModelChosen, ModelPage
from llmchat_tui.screens.model_rows import Note
from llmchat_tui.screens.panel import live_key

if TYPE_CHECKING:
    from llmchat_engine.models.hub.types import Reference
    from llmchat_tui.screens.hub_search import Picked

__all__ = ["ModelChosen", "ModelsScreen"]


class ModelsScreen(ModelPage):
    """Ends with what is chosen; pulls, verifies and removes beside that."""

    _doomed: Path | None = None
    """What the user was asked about, and may be removed."""

    def on_input_changed(self) -> None:
        """Narrows the list."""
        self.tell("")
        self.write()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the file that was named, else the row under the cursor."""
        path = path_in(event.value)
        if path and not self.has_offer:
            self.in_thread(lambda: checks.read_typed(self.stock, path, self.post_message), "typed")
        else:
            self._choose(make_default=False)

    def on_option_list_option_selected(self) -> None:
        """Takes the row under the cursor."""
        self._choose(make_default=False)

    def on_model_list_wanted(self, message: ModelList.Wanted) -> None:
        """Does something with the row under the cursor."""
        entry = self.entry
        match message.action:
            case "default_model":
                self._choose(make_default=True)
            case "search_hub":
                self.open_hub("")
            case "resume_pull":
                self._resume(entry)
            case "stop_pull" | "remove_model" if isinstance(entry, Download):
                self._stop(entry)
            case action if isinstance(entry, LocalModel):
                {"model_details": self._show, "verify_model": self._verify, "remove_model": self._remove}[action](entry)

    def can(self, action: str) -> bool:
        """Returns whether a key of the list makes sense for the row under the cursor; it is shown only then."""
        entry = self.entry
        match action:
            case "use_model" | "resume_pull" if isinstance(entry, Download):
                job = self.job(entry)
                return action == "resume_pull" and job is not None and job.state in ("stopped", "failed")
            case "default_model":
                return isinstance(entry, LocalModel | Server) and not self.is_broken(entry)
            case "model_details":
                return isinstance(entry, LocalModel) and not self.is_broken(entry)
            case "verify_model":
                return isinstance(entry, LocalModel)
            case "remove_model" | "stop_pull" if isinstance(entry, Download):
                job = self.job(entry)
                return job is not None and job.is_active == (action == "stop_pull")
            case "remove_model":
                return isinstance(entry, LocalModel)
            case "resume_pull" | "stop_pull":
                return False
            case _:
                return True

    def tell(self, problem: str) -> None:
        """Shows what is wrong; what was asked about is not to be removed any more."""
        self._doomed = None
        super().tell(problem)

    def moved(self) -> None:
        """Shows the keys of another row; what was asked about is not to be removed any more."""
        entry = self.entry
        if self._doomed and not (isinstance(entry, LocalModel) and entry.path == self._doomed):
            self.tell("")
        super().moved()

    def open_hub(self, words: str) -> None:
        """Opens the page of the hub; what is picked there is pulled."""
        from llmchat_tui.screens.hub_search import HubScreen

        self.app.push_screen(HubScreen(self.stock, words), self._picked)

    def _picked(self, picked: Picked | None) -> None:
        if picked is not None:
            self.pulls.add(picked.reference, picked.repo, picked.variant)
            self._to_download(picked.reference)

    def _pull(self, reference: Reference) -> None:
        self.pulls.add(reference)
        self._to_download(reference)

    def _to_download(self, reference: Reference) -> None:
        """Empties the field, and puts the cursor on a download."""
        with self.prevent(Input.Changed):
            self.query_one(ModelFilter).clear()
        self.write(Download(Job(reference).key))
        self.query_one(ModelList).focus()

    def _choose(self, make_default: bool) -> None:
        match self.entry:
            case LocalModel() as model if self.is_broken(model):
                self.tell(f"{model.name} cannot be used: {self.facts[model.path].problem}")
            case LocalModel(path=path):
                self.dismiss(ModelChosen(str(path), make_default))
            case Server(name=name):
                self.dismiss(ModelChosen(name, make_default))
            case Offer(reference=reference):
                self._pull(reference)
            case Search(words=words):
                self.open_hub(words)
            case Download() as download:
                self._resume(download)

    def _show(self, model: LocalModel) -> None:
        from llmchat_tui.screens.model_details import ModelDetailsScreen

        self.app.push_screen(ModelDetailsScreen(model.name, partial(self.stock.card, model)))

    def _verify(self, model: LocalModel) -> None:
        self.note(model.path, Note("verifying"))

        def work() -> None:
            worker = get_current_worker()
            checks.verify(self.stock, model.path, self.post_message, lambda: worker.is_cancelled)

        self.in_thread(work, f"verify {model.path}")

    def _remove(self, model: LocalModel) -> None:
        """Removes a model, when it is said twice."""
        if why := self.stock.kept_by(model):
            self.tell(why)
        elif self.is_used(model):
            self.tell(f"{model.name} is in use; choose another model first")
        elif self._doomed != model.path:
            self.tell(f"{live_key(self, 'remove_model')} once more removes {model.name} from this machine")
            self._doomed = model.path
        else:
            self.tell("")
            self.in_thread(lambda: checks.remove(self.stock, model.path, self.post_message), "remove")

    def _stop(self, download: Download) -> None:
        """Stops a download; forgets one that has stopped."""
        job = self.job(download)
        if job is not None and job.is_active:
            self.pulls.cancel(download.key)
        else:
            self.pulls.drop(download.key)

    def _resume(self, entry: Entry | None) -> None:
        if isinstance(entry, Download):
            self.pulls.resume(entry.key)
