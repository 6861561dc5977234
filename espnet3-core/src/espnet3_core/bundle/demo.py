"""Stages pack_demo and upload_demo: what is in the page is a plugin's matter, core gives it its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espnet3_core.bundle.check import check_bundle
from espnet3_core.bundle.pack import replacing_folder
from espnet3_core.bundle.stage import publish
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


def pack_demo(context: StageContext) -> None:
    """Write ``exp/<tag>/demo``; equal bundles and configurations give equal bytes.

    Raises:
        UserError: There is no bundle, or no plugin that makes pages.
    """
    check_bundle(context.experiment.bundle)
    target = context.experiment.demo
    with replacing_folder(target) as directory:
        context.catalog.write_demo(context, directory)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    context.note(bytes=size)
    context.logger.info("packed the page into %s (%.1f MB)", target, size / 1e6)


def upload_demo(context: StageContext) -> None:
    """Send the page to where ``demo.upload`` says, and print its address.

    Raises:
        UserError: There is no page or no publisher, or a plugin vetoes publishing the bundle.
    """
    if not context.experiment.demo.is_dir():
        raise UserError(
            f"{context.experiment.demo}: the page has not been packed", hint="run the stage pack_demo first"
        )
    publish(context, "demo", context.experiment.demo)
