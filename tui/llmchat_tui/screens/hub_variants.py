"""The variants of one repository of the hub: how large each is, whether it fits, which suits this machine best.

The hub is asked in a thread. Pulls nothing; ends with what is to be pulled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from llmchat_engine.models.hub.types import Reference, Variant
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens import hub_work as work
from llmchat_tui.screens.hub_rows import repo_line, variant_row
from llmchat_tui.screens.hub_work import Picked
from llmchat_tui.screens.panel import Panel, is_open

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_tui.stock import Stock


class VariantsScreen(Panel[Picked | None]):
    """Ends with the variant that is to be pulled."""

    DEFAULT_CSS = """
    VariantsScreen > #panel { max-width: 100; max-height: 40; }
    VariantsScreen #told { height: auto; max-height: 4; color: $text-muted; }
    VariantsScreen #told.-wrong { color: $text-error; }
    VariantsScreen OptionList { height: auto; max-height: 1fr; margin-top: 1; background: transparent; }
    VariantsScreen.-low > #panel { height: 100%; }
    VariantsScreen.-low OptionList { margin-top: 0; height: 1fr; }
    VariantsScreen.-low #told { max-height: 2; }
    VariantsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, stock: Stock, reference: Reference) -> None:
        super().__init__(reference.repo)
        self._stock, self._reference = stock, reference
        self._found: work.RepoRead | None = None
        self._asking = work.Asking(self.post_message)

    def compose_body(self) -> ComposeResult:
        """Yields what is told of the repository, and its variants."""
        yield Static(Content(f"asking {sanitize_line(self._stock.hub_name)} …"), id="told", markup=False)
        yield VariantList(compact=True, markup=False)

    def on_mount(self) -> None:
        """Asks the hub."""
        stock, reference = self._stock, self._reference
        self._asking.ask(lambda post, _is_over: work.read_repo(stock, reference, post))

    def on_unmount(self) -> None:
        """Waits for no answer any more."""
        self._asking.stop()

    def on_resize(self) -> None:
        """Writes the rows for this width."""
        self.call_after_refresh(self._write)

    def on_repo_read(self, message: work.RepoRead) -> None:
        """Shows the variants, the cursor on the one that was named, else on the best."""
        if not is_open(self):
            return
        self._found = message
        self._say(repo_line(message.repo))
        self._write()
        named = [at for at, one in enumerate(message.variants) if self._is_named(one)]
        best = [at for at, one in enumerate(message.variants) if one == message.best]
        self.query_one(VariantList).highlighted = next(iter((*named, *best)), 0)

    def on_refused(self, message: work.Refused) -> None:
        """Says what is wrong."""
        if is_open(self):
            self._say(message.text, wrong=True)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Ends with the variant."""
        if self._found is None:
            return
        repo, variant = self._found.repo, self._found.variants[event.option_index]
        same = sum(other.quant == variant.quant for other in self._found.variants)
        revision = self._reference.revision
        if repo.kind != "gguf":
            reference = Reference(repo.name, revision=revision)
        elif variant.quant == "?" or same > 1:
            reference = Reference(repo.name, file=variant.files[0].path, revision=revision)
        else:
            reference = Reference(repo.name, variant.quant, revision=revision)
        self.dismiss(Picked(reference, repo, variant))

    def _is_named(self, variant: Variant) -> bool:
        wanted = self._reference
        named_file = bool(wanted.file) and any(file.path == wanted.file for file in variant.files)
        return named_file or (bool(wanted.quant) and variant.quant == wanted.quant)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        told = self.query_one("#told", Static)
        told.set_class(wrong, "-wrong")
        told.update(Content(sanitize_line(text)))

    def _write(self) -> None:
        if found := self._found:
            options = self.query_one(VariantList)
            before, width = options.highlighted, options.size.width
            options.set_options(
                Option(variant_row(variant, found.machine, variant == found.best, width)) for variant in found.variants
            )
            options.highlighted = before


class VariantList(OptionList):
    """The list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "pull")]
