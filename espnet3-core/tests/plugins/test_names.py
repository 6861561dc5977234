import pytest
from espnet3_core.errors import UserError
from espnet3_core.names import Ref, closest, did_you_mean, typing_mistakes


def test_a_name_has_a_namespace_and_may_name_its_distribution():
    assert Ref.parse("asr/ctc") == Ref("asr", "ctc")
    assert Ref.parse("espnet3-asr:asr/ctc") == Ref("asr", "ctc", "espnet3-asr")
    assert Ref.parse("espnet3-asr:asr/ctc").name == "asr/ctc"


@pytest.mark.parametrize("text", ["ctc", "asr/", "/ctc", "ASR/ctc", "asr/ctc/x", "asr ctc", "asr/c-t-c", ""])
def test_what_is_not_a_name_is_said_so(text):
    with pytest.raises(UserError, match="is not a component name") as caught:
        Ref.parse(text)
    assert "namespace/name" in str(caught.value)


def test_the_nearest_name_is_found_also_when_the_namespace_is_missing():
    names = ["asr/ctc", "asr/ctc_attention", "speech/conformer"]
    assert closest("asr/ctc_atention", names) == "asr/ctc_attention"
    assert closest("conformer", names) == "speech/conformer"
    assert closest("zzz", names) is None
    assert did_you_mean("speech/conformr", names) == "did you mean 'speech/conformer'?"
    assert did_you_mean("zzz", names, otherwise="none") == "none"
    assert closest("modle", ["model", "module"]) == "model"
    assert closest("max_epoch", ["max_epochs", "max_steps", "min_epochs"]) == "max_epochs"
    assert closest("trian", ["train", "train_tokenizer", "infer"]) == "train"


@pytest.mark.parametrize(
    ("a", "b", "count"),
    [
        ("", "abc", 3),
        ("model", "model", 0),
        ("modle", "model", 1),
        ("kitten", "sitting", 3),
        ("ca", "abc", 3),
    ],
)
def test_typing_mistakes_are_counted(a, b, count):
    assert typing_mistakes(a, b) == typing_mistakes(b, a) == count
