"""The stage infer on 200 short utterances (those of mini_an4, repeated), beam 1, CTC 0.3."""

from __future__ import annotations

import re
import shutil

import stages
from work import Case, Row, Setting, Work

COUNT = 200
ESPNET3_INFERENCE = """
dataset: {test: [{name: many, data_src_args: {split: test}}]}
model:
  _target_: espnet2.bin.asr_inference.Speech2Text
  asr_train_config: ${exp_dir}/config.yaml
  asr_model_file: ${exp_dir}/epoch0_step1_valid.loss.ckpt
  beam_size: 1
  ctc_weight: 0.3
  maxlenratio: 0.1
batch_size: 4
"""


def ours(case: str, setting: Setting) -> Work:
    """The whole command."""
    folder = setting.exchange / "ours"
    command = [*stages.an4(folder), "--stages", "infer", "--force"]
    command.append("inference.test_sets={many: {name: core/manifest, path: data/many.tsv}}")
    header, *rows = (folder / "data/test.tsv").read_text("utf-8").splitlines()
    column = header.split("\t").index("id")
    many = [rows[number % len(rows)].split("\t") for number in range(COUNT)]
    for number, row in enumerate(many):
        row[column] = f"u{number:04d}"
    text = "\n".join([header, *("\t".join(row) for row in many)])
    (folder / "data/many.tsv").write_text(f"{text}\n", "utf-8")
    results = folder / "exp/training_mini_transformer/inference_mini/many/results.jsonl"

    def run() -> None:
        stages.run(command, folder)
        assert len(results.read_text("utf-8").splitlines()) == COUNT

    return Work(run, COUNT, "utterances")


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet3's command, on a copy of its recipe whose manifest lists the utterances again and again."""
    folder = setting.exchange / "espnet/egs3/mini_an4/esp2_asr"
    shutil.copytree(stages.mini_an4().parents[2] / "egs3", setting.exchange / "espnet/egs3")
    (folder / "conf/inference_many.yaml").write_text(ESPNET3_INFERENCE)
    manifest = folder / "data/manifest/test.tsv"
    lines = manifest.read_text().splitlines()
    many = [re.sub(r"^[^\t]*", f"u{n:04d}", lines[n % len(lines)]) for n in range(COUNT)]
    manifest.write_text("\n".join(many) + "\n")
    command = [*stages.espnet3("infer"), "--inference_config", "conf/inference_many.yaml"]

    def run() -> None:
        shutil.rmtree(folder / "exp/training_asr_transformer/inference_many", ignore_errors=True)
        stages.run(command, folder)

    return Work(run, COUNT, "utterances")


ROW = Row(
    title="stage infer on 200 short utterances, start-up included",
    cases=(Case("the stage", repeats=3),),
    sides={"ours": ours, "espnet": espnet},
)
