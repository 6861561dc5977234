"""Stages pack_model and upload_model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.check import check_bundle
from espnet3_core.bundle.contents import bundle_config, core_versions, providers
from espnet3_core.bundle.manifest import Manifest, version_range
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.sample import WANTED_SECONDS, Sample
from espnet3_core.bundle.weights import weights_metadata
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
    config = bundle_config(training, inference, context.recipe.directory, context.recipe.system.inputs)
    chosen = publication.checkpoint or inference.checkpoint
    checkpoint = resolve_checkpoint(context.experiment.directory, chosen, context.recipe.directory)
    tokenizer = context.build_tokenizer()
    model = context.build_model(tokenizer=tokenizer)
    load_weights(model, checkpoint)
    facts = {
        **weights_metadata(checkpoint),
        **({"datasets": list(publication.datasets)} if publication.datasets else {}),
        "checkpoint": checkpoint.name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    target = context.experiment.bundle
    write_bundle(
        target, _manifest(context, config, facts), config, model.state_dict(), tokenizer, _sample(context)
    )
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    context.note(checkpoint=checkpoint.name, bytes=size)
    context.logger.info("packed %s into %s (%.1f MB)", checkpoint.name, target, size / 1e6)


def _manifest(context: StageContext, config: Mapping[str, Any], training: dict[str, Any]) -> Manifest:
    publication, system = context.config("publication"), context.recipe.system
    components = providers(config)
    if not system.inputs:
        context.logger.warning(
            "%s declares no inputs and outputs: servers and pages cannot show it", system.name
        )
    return Manifest(
        system=system.name,
        title=publication.title,
        license=publication.license,
        language=list(publication.language),
        sample_rate=config["sample_rate"],
        components=components,
        plugins={part["distribution"]: version_range(part["version"]) for part in components},
        inputs=list(system.inputs),
        outputs=list(system.outputs),
        versions=core_versions(),
        training=training,
        metrics=_measured(context.inference_directory / "metrics.json"),
    )


def _sample(context: StageContext) -> Sample | None:
    """The input that ``publication.sample`` chooses."""
    from espnet3_core.data.audio import read_audio

    chosen, inputs = context.config("publication").sample, context.recipe.system.inputs
    if chosen is None or not inputs or (inputs[0].kind == "audio" and context.sample_rate is None):
        return None
    if chosen != "test":
        if inputs[0].kind != "audio":
            return Sample({inputs[0].name: chosen})
        path, rate = context.recipe.directory / chosen, context.sample_rate
        return Sample({inputs[0].name: read_audio(path, sample_rate=rate, channels="mean", resample="soxr")})
    sets = context.config("inference").test_sets
    if not sets:
        return None
    try:
        item = _closest(context.build_dataset(next(iter(sets.values()))))
    except UserError as error:
        hint = "publication.sample=null packs no sample; publication.sample=FILE takes another"
        raise UserError(f"no sample of the first test set can be had: {error.message}", hint=hint) from error
    context.logger.info("an utterance of the test set is packed; publication.sample=null leaves it out")
    return Sample({field.name: item[field.name] for field in inputs if field.name in item})


def _closest(dataset: Any) -> Mapping[str, Any]:
    """The item whose length is closest to that wanted; the first one where lengths are not known."""
    from espnet3_core.data.dataset import PreparedDataset

    lengths = PreparedDataset(dataset).lengths()
    if lengths is None:
        return PreparedDataset(dataset)[0]
    return PreparedDataset(dataset)[int(abs(lengths - WANTED_SECONDS).argmin())]


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
    publish(context, "publication", context.experiment.bundle)


def publish(context: StageContext, role: str, folder: Path) -> None:
    """Send a folder to where ``upload`` of a role says, unless a plugin vetoes the experiment's bundle.

    Raises:
        UserError: There is no bundle or no publisher, or a plugin vetoes.
    """
    chosen = context.config(role)
    component = chosen.upload
    if component is None:
        raise UserError(
            f"{role}.upload is not set, so there is nowhere to upload to",
            hint=f"{role}.upload: {{name: core/directory, path: …}}; espnet3 list publisher shows others",
        )
    manifest = check_bundle(context.experiment.bundle)
    findings = context.catalog.before_publish(manifest.to_dict())
    for finding in findings:
        if finding.level == "warning":
            context.logger.warning("%s", finding)
    vetoes = [finding for finding in findings if finding.level == "error"]
    if vetoes:
        raise CheckFailed(vetoes)
    address = component.build(**context.needs()).publish(folder, dry_run=chosen.dry_run)
    if chosen.dry_run:
        context.logger.info("nothing was sent to %s", address)
        return
    context.note(address=address)
    context.logger.info("published at %s", address)
    print(address)
