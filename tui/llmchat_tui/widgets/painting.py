"""Painting at once what cannot wait for the next frame.

The toolkit paints 60 times a second, and a layout that is due goes first: behind a growing reply a key waited 80 ms.
"""

from __future__ import annotations

from textual.widget import Widget


def paint_now(widget: Widget) -> None:
    """Paints what changed on the widget's screen where it stands; a layout that is due follows with the next frame."""
    screen = widget.screen
    if screen.is_current and not screen.app._batch_count:
        screen._compositor.update_widgets(screen._dirty_widgets | {widget})
        screen._compositor_refresh()
