"""A system of this recipe: core's training and inference, and one stage of its own."""

from dataclasses import replace

from espnet3_core.recipe.stages import INFER, TRAIN
from espnet3_core.specs import StageSpec, SystemSpec


def count(context):
    """Write how many results there are."""
    folder = context.experiment.inference(context.stems["inference"]) / "test"
    lines = (folder / "results.jsonl").read_text("utf-8").splitlines()
    (context.experiment.directory / "count.txt").write_text(str(len(lines)))


SYSTEM = SystemSpec(
    name="local_code/system",
    stages=(
        replace(TRAIN, after=()),
        INFER,
        StageSpec(
            name="count",
            run=count,
            roles=("training", "inference"),
            after=("infer",),
            outputs=("count.txt",),
        ),
    ),
)
