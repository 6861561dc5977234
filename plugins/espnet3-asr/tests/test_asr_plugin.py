from espnet3_asr import _plugin


def test_the_recognition_system():
    (system,) = _plugin.espnet3_systems()
    assert system.name == "asr/recognition"
    assert [stage.name for stage in system.stages] == [
        "create_dataset", "train_tokenizer", "collect_stats", "train", "infer", "measure", "pack_model",
        "upload_model", "pack_demo", "upload_demo",
    ]  # fmt: skip
    assert [stage.name for stage in system.stages if stage.explicit] == [
        "upload_model", "pack_demo", "upload_demo",
    ]  # fmt: skip
