"""How near recordings of other texts come to the references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from espnet3_core.errors import UserError

from espnet3_tts.metrics.cepstrum import SCALE, pair_distances
from espnet3_tts.metrics.comparison import Track
from espnet3_tts.metrics.config import NearestConfig
from espnet3_tts.metrics.dtw import mean_costs
from espnet3_tts.metrics.recordings import MelCepstralDistortion

_TOGETHER = 64


class NearestRecording(MelCepstralDistortion):
    """The smallest mel-cepstral distortion that any recording of a dataset reaches, mean over utterances.

    Warped far enough, any speech resembles any other. What a model says has to be nearer to the reference
    than the nearest of the training recordings, in which the same voice says something else. Every recording
    is compared with every reference.

    Args:
        config: The dataset; frames and coefficients as of ``tts/mcd``.
        sample_rate: Of the references.
        recipe_dir: Folder that the dataset's path is relative to.
    """

    key = "nearest_mcd"
    config: NearestConfig

    def __init__(self, config: NearestConfig, *, sample_rate: int | None, recipe_dir: Path) -> None:
        super().__init__(config, sample_rate=sample_rate)
        dataset = config.among.build(sample_rate=sample_rate, recipe_dir=recipe_dir)
        if not len(dataset) or "speech" not in dataset[0]:
            raise UserError(
                "tts/nearest_mcd: there are no recordings in `among`", hint="name a dataset with audio"
            )
        items = (dataset[index] for index in range(len(dataset)))
        tracks = {item["id"]: self.analysis.track(item["speech"], item["id"]) for item in items}
        # Of similar length together.
        self.recordings = sorted(tracks.items(), key=lambda entry: len(entry[1].cepstrum))

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` samples with all recordings, and with ``audio``."""
        for name, reference, made in zip(ids, values["reference"], values["audio"], strict=True):
            wanted, _, _, own = self.analysis.compare(reference, made, name)
            smallest, nearest = min(self._distortions(wanted))
            self.add(name, smallest, 1.0, nearest=nearest, mcd=own)

    def _distortions(self, wanted: Track) -> Iterator[tuple[float, str]]:
        """Distortion of every recording, and its id."""
        for start in range(0, len(self.recordings), _TOGETHER):
            group = self.recordings[start : start + _TOGETHER]
            sizes = np.array([len(track.cepstrum) for _, track in group])
            distances = np.zeros((len(group), len(wanted.cepstrum), sizes.max()))
            for row, (_, track) in zip(distances, group, strict=True):
                row[:, : len(track.cepstrum)] = pair_distances(wanted.cepstrum, track.cepstrum)
            for mean, (name, _) in zip(mean_costs(distances, sizes), group, strict=True):
                yield SCALE * float(mean), name

    def compute(self) -> dict[str, Any]:
        """The score, and the share in percent of what is ``nearer`` to its reference than any recording."""
        nearer = [entry["mcd"] < entry["numerator"] for entry in self.entries]
        return super().compute() | {"nearer": 100.0 * sum(nearer) / len(nearer) if nearer else None}

    def provenance(self) -> dict[str, Any]:
        """Which coefficients count, and how many recordings there are."""
        return super().provenance() | {"recordings": len(self.recordings)}
