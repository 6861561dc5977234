"""The check of a recipe's data, from its configurations to all findings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espnet3_core.data.checking.checks import audio_findings, by_place, shared_findings, text_findings
from espnet3_core.data.checking.findings import DataFinding
from espnet3_core.data.checking.scan import scan
from espnet3_core.data.checking.splits import Split, splits_of
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.recipe import Recipe
from espnet3_core.specs import StageSpec

_MOST_WORKERS = 8


@dataclass(frozen=True)
class DataReport:
    """What a check found.

    Attributes:
        utterances: How many each data set has.
        findings: Problems by kind, then by place.
    """

    utterances: Mapping[str, int]
    findings: tuple[DataFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stops a run or spoils its results."""
        return not any(finding.level == "error" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        counts: dict[str, int] = {}
        for finding in self.findings:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
        return {
            "ok": self.ok,
            "utterances": dict(self.utterances),
            "counts": counts,
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_data(
    directory: str | Path,
    *,
    tag: str | None = None,
    stems: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
) -> DataReport:
    """Decode every utterance of a recipe once and look for what is wrong with it.

    Args:
        directory: The recipe.
        tag: The experiment whose tokenizer is used; one that has none is trained in memory.
        stems: Stem of a role's YAML where it is not the role's name.
        overrides: ``role.key=value``.
        workers: Processes; None for one per core, 8 at most.

    Raises:
        UserError: The recipe or its configurations are wrong.
    """
    from espnet3_core.recipe.session import open_session

    recipe = Recipe.load(directory)
    with recipe.activate():
        session = open_session(recipe, tag=tag, stems=stems, overrides=overrides)
        inference = session.stems.get("inference", "inference")
        has_tests = (recipe.directory / "conf" / f"{inference}.yaml").is_file()
        roles = ("training", "inference") if has_tests else ("training",)
        session.configs.load(roles)
        stage = StageSpec(name="data_check", run="", roles=roles)
        return examine_data(session.context(stage), workers or min(_MOST_WORKERS, os.cpu_count() or 1))


def examine_data(context: StageContext, workers: int) -> DataReport:
    """The check, for the configurations of a context."""
    findings: list[DataFinding] = []
    splits = list(splits_of(context, findings))
    jobs = [split.jobs() for split in splits]
    wanted = [job for listed in jobs for job in listed if job is not None]
    facts = scan(wanted, workers=workers, name=str(context.recipe.directory))
    for split, listed in zip(splits, jobs, strict=True):
        split.complete(listed, facts, context.sample_rate)
        findings += audio_findings(split, context.sample_rate)
    findings += shared_findings(splits)
    tokenizer = _tokenizer(context, splits)
    for split in splits:
        if tokenizer is not None:
            findings += text_findings(split, tokenizer)
        findings += context.catalog.check_data(context, split, tokenizer)
    unique = {(f.kind, f.place, f.id, f.reason): f for f in reversed(findings)}
    count = {split.name: len(split.items) for split in splits}
    return DataReport(count, tuple(sorted(reversed(unique.values()), key=by_place)))


def _tokenizer(context: StageContext, splits: Sequence[Split]) -> Any:
    """The experiment's tokenizer, or one that is trained on the texts of the training set as they are."""
    component = context.config("training").tokenizer
    if component is None:
        return None
    if context.experiment.tokenizer.is_dir():
        return context.build_tokenizer()
    texts = [
        text
        for split in splits
        if split.role == "train"
        for item in split.items
        if isinstance(text := item.fields.get("text"), str) and text.strip()
    ]
    if not texts:
        return None
    tokenizer = component.build(**context.needs())
    tokenizer.train(iter(texts))
    return tokenizer
