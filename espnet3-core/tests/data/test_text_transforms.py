from __future__ import annotations

import pytest
from espnet3_core.data.config import TextCaseConfig, TextCleanConfig
from espnet3_core.data.text import TextCase, TextClean
from espnet3_core.errors import UserError


def test_case() -> None:
    assert TextCase(TextCaseConfig(case="upper"))({"text": "straße"})["text"] == "STRASSE"
    assert TextCase()({"text": "ÀB"})["text"] == "àb"
    assert TextCase()({"id": "u"}) == {"id": "u"}
    assert TextCase(TextCaseConfig(field="words"))({"words": "A", "text": "A"}) == {"words": "a", "text": "A"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,  world! It's  fine.", "Hello world It's fine"),
        ("well-known — thing…", "well known thing"),
        ("ｆｕｌｌ ﬁt e\u0301", "full fit é"),
        ("", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert TextClean()({"text": text})["text"] == expected


def test_what_clean_keeps_can_be_chosen() -> None:
    clean = TextClean(TextCleanConfig(keep="-$", unicode="none"))
    assert clean({"text": "a-b it's $5 ﬁ"})["text"] == "a-b it s $5 ﬁ"
    assert TextClean(TextCleanConfig(punctuation="keep"))({"text": " a,  b "})["text"] == "a, b"
    with pytest.raises(UserError, match="is int"):
        TextClean()({"text": 5})
