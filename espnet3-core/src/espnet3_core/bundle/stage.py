"""Stages pack_model and upload_model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.contents import bundle_config, core_versions, providers
from espnet3_core.bundle.manifest import Manifest, read_manifest, verify_files
from espnet3_core.bundle.pack import weights_metadata, write_bundle
from espnet3_core.errors import CheckFailed, UserError

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


def pack_model(context: StageContext) -> None:
    """Write ``exp/<tag>/bundle``.

    Raises:
        UserError: There is no such checkpoint, it is another model's, or parts are the recipe's own code.
    """
    from espnet3_core.train.checkpoints import load_weights, resolve_checkpoint

    training, inference = context.config("training"), context.config("inference")
    publication = context.config("publication")
    config = bundle_config(training, inference, context.recipe.directory)
    checkpoint = resolve_checkpoint(
        context.experiment.directory, publication.checkpoint or inference.checkpoint
    )
    tokenizer = context.build_tokenizer()
    model = context.build_model(tokenizer=tokenizer)
    load_weights(model, checkpoint)
    manifest = Manifest(
        system=context.recipe.system.name,
        title=publication.title,
        license=publication.license,
        language=list(publication.language),
        sample_rate=training.dataset.sample_rate,
        components=providers(
            training.model,
            training.tokenizer,
            training.collator,
            training.dataset.preprocess,
            inference.search,
        ),
        versions=core_versions(),
        training={
            **weights_metadata(checkpoint),
            "checkpoint": checkpoint.name,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        metrics=_measured(context.inference_directory / "metrics.json"),
    )
    target = context.experiment.bundle
    write_bundle(target, manifest, config, model.state_dict(), tokenizer)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    context.note(checkpoint=checkpoint.name, bytes=size)
    context.logger.info("packed %s into %s (%.1f MB)", checkpoint.name, target, size / 1e6)


def _measured(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}", hint="run the stage measure again") from None
    return scores


def upload_model(context: StageContext) -> None:
    """Send the bundle to where ``publication.upload`` says, and print its address.

    Raises:
        UserError: There is no bundle or no publisher, or a plugin vetoes.
    """
    component = context.config("publication").upload
    if component is None:
        raise UserError(
            "publication.upload is not set, so there is nowhere to upload to",
            hint="publication.upload: {name: core/directory, path: …}; espnet3 list publisher shows others",
        )
    bundle = context.experiment.bundle
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    findings = context.catalog.before_publish(manifest.to_dict())
    for finding in findings:
        if finding.level == "warning":
            context.logger.warning("%s", finding)
    vetoes = [finding for finding in findings if finding.level == "error"]
    if vetoes:
        raise CheckFailed(vetoes)
    address = component.build(**context.needs()).publish(bundle)
    context.note(address=address)
    context.logger.info("published at %s", address)
    print(address)
