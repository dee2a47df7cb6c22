"""Key actions as the bindings of a widget or screen. The table of them is keymap.py."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from llmchat_tui.keymap import Place, actions_of


def bindings_of(
    place: Place, *, leave_out: frozenset[str] = frozenset(), only: frozenset[str] | None = None
) -> list[BindingType]:
    """Returns a binding per action of a place; its id is what `[keys]` in config.toml names.

    Args:
        place: where the keys work.
        leave_out: actions that the widget handles in another way.
        only: the actions that it has; None for all of the place.
    """
    return [
        Binding(action.keys, action.id, action.label, show=action.footer, id=action.id)
        for action in actions_of(place)
        if action.id not in leave_out and (only is None or action.id in only)
    ]
