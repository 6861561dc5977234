"""Running a page: nothing is fetched from, or told to, anybody but the visitor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

# Read when gradio is imported: it would else tell its makers about every start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr  # noqa: E402
from espnet3_core.config.roles import DemoConfig  # noqa: E402
from espnet3_core.errors import UserError  # noqa: E402

from espnet3_demo.page import build_page  # noqa: E402
from espnet3_demo.timeline import STYLE  # noqa: E402

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel

WAITING = 32
"""Visitors that wait for their turn; further ones are told that the page is busy."""
_FONTS = ("system-ui", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")
_STYLE = """
.gradio-container { width: 100% !important; max-width: 860px !important; margin: 0 auto !important; }
#problem { border-left: 4px solid var(--error-border-color, #dc2626); padding: 8px 14px; border-radius: 4px;
           background: var(--error-background-fill, #fef2f2); }
"""


def page_of(model: LoadedModel, demo: DemoConfig) -> gr.Blocks:
    """The page that the configuration chooses, or one made from what the bundle declares.

    Raises:
        UserError: The model takes what a page cannot ask for, or the own page is none.
    """
    if demo.page is None:
        return build_page(model, demo)
    page = demo.page.build(model=model, demo=demo)
    if not isinstance(page, gr.Blocks):
        name = demo.page.name or demo.page.target
        raise UserError(f"demo.page: {name} returned {type(page).__name__}", hint="return gradio.Blocks")
    return page


def launch(
    page: gr.Blocks,
    demo: DemoConfig,
    *,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    ready: Callable[[str], object] = print,
) -> None:
    """Answer visitors until the process is stopped.

    Args:
        page: What they see.
        demo: Limits.
        host: Address to listen on; None for what Gradio's environment variables say.
        port: Port; None likewise.
        share: Whether to make a public address, too.
        ready: Called with the addresses once the page answers.
    """
    options: dict[str, Any] = {"server_name": host, "server_port": port, "share": share}
    page.queue(max_size=WAITING)
    _, local, public = page.launch(
        **options,
        quiet=True,
        ssr_mode=False,
        footer_links=[],
        max_file_size=int(demo.max_mb * 1e6),
        theme=gr.themes.Default(font=_FONTS, font_mono=_MONO),
        css=_STYLE + STYLE,
        prevent_thread_lock=True,
    )
    ready(", ".join(address for address in (local, public) if address))
    page.block_thread()
