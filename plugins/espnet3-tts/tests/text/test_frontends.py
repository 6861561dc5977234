from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from espnet3_core.bundle.names import SUFFIXES
from espnet3_core.errors import UserError
from espnet3_tts.text import lexicon
from espnet3_tts.text.arpabet import Arpabet
from espnet3_tts.text.characters import Characters
from espnet3_tts.text.config import SPACE, ArpabetConfig, CharactersConfig, IpaConfig
from espnet3_tts.text.ipa import Ipa
from espnet3_tts.text.lexicon import cmu_dictionary, parse


def characters(**options) -> Characters:
    return Characters(CharactersConfig(**options))


def spelled(frontend, text) -> str:
    return "".join(" " if symbol == SPACE else symbol for symbol in frontend.symbols(text))


def test_marks_dashes_and_quotation_marks():
    assert spelled(characters(), "“Well,” he said -- it's Tom's 'big' day... 'tis!?") == (
        "well, he said, it's tom's big day. 'tis?"
    )
    assert spelled(characters(punctuation=""), "Well-known, (so) it is.") == "well known so it is"
    assert spelled(characters(), "Café – naïve Æsop") == "cafe, naive aesop"


@pytest.mark.parametrize("boundaries", [True, False])
@pytest.mark.parametrize("blank", ["none", "between"])
def test_blanks_and_boundaries_come_off_again(boundaries, blank):
    frontend = characters(boundaries=boundaries, blank=blank)
    ids = frontend.encode("Hi, you.")
    plain = [frontend.tokens.index(symbol) for symbol in frontend.symbols("Hi, you.")]
    assert frontend.unwrap(ids) == plain
    assert len(ids) == (len(plain) + 2 * boundaries) * (2 if blank == "between" else 1) + (blank == "between")
    if blank == "between":
        assert set(ids[::2]) == {frontend.blank_id}
    assert frontend.decode(ids) == "h i , <space> y o u ."


def test_unknown_characters_are_named_and_treated_as_asked(caplog):
    text = "a ☃ and ж"
    with pytest.raises(UserError) as caught:
        characters().encode(text)
    assert "'☃' (U+2603 SNOWMAN), 'ж' (U+0436 CYRILLIC SMALL LETTER ZHE)" in caught.value.message
    assert "tokenizer.unknown" in caught.value.hint
    assert spelled(characters(unknown="skip"), text) == "a and"
    assert "'☃' (U+2603 SNOWMAN)" in caplog.text
    assert spelled(characters(unknown="spell"), text) == "a snowman and zhe"


@pytest.mark.parametrize("text", ["", "  ", "...", "'"])
def test_a_text_without_a_word_is_refused(text):
    with pytest.raises(UserError, match="nothing to say"):
        characters().encode(text)


def test_a_long_text_is_no_problem():
    text = "It costs $3.50. " * 650
    assert len(text) > 10_000
    assert len(characters().encode(text)) == len(characters().encode("It costs $3.50.")) * 650 - 649


def test_training_texts_are_looked_through():
    with pytest.raises(UserError, match="SNOWMAN"):
        characters().train(["fine", "not ☃"])
    with pytest.raises(UserError, match="empty"):
        characters().train([])


def test_saved_tokens_must_be_the_same(tmp_path):
    frontend = characters()
    frontend.save(tmp_path)
    same = characters()
    same.load(tmp_path)
    assert same.encode("Dr. No") == frontend.encode("Dr. No")
    with pytest.raises(UserError, match="not the tokens of Characters as configured"):
        characters(punctuation=".").load(tmp_path)
    facts = json.loads((tmp_path / "frontend.json").read_text())
    (tmp_path / "frontend.json").write_text(json.dumps(facts | {"english": 0}))
    with pytest.raises(UserError, match="english is 0, and here it is 1"):
        characters().load(tmp_path)
    with pytest.raises(UserError, match="no text frontend here"):
        characters().load(tmp_path / "elsewhere")


def test_wrong_punctuation_is_refused():
    with pytest.raises(UserError, match="is not a choice of"):
        CharactersConfig(punctuation=".§")


LEXICON = """
a AH0
b B IY1
c S IY1
bee B IY1
tom T AA1 M
boss B AO1 S
cat K AE1 T
stop S T AA1 P
love L AH1 V
road R OW1 D
mate M EY1 T
mate(2) M EY2 T # another
m EH1 M
h EY1 CH
kind K AY1 N D
"""


@pytest.fixture(scope="module")
def phones() -> Arpabet:
    frontend = Arpabet(ArpabetConfig(), parse(LEXICON.splitlines()))
    frontend.train(["a cat"])
    return frontend


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("Cat", "K AE1 T"),
        ("cats", "K AE1 T S"),
        ("Tom's", "T AA1 M Z"),
        ("boss's", "B AO1 S IH0 Z"),
        ("stopping", "S T AA1 P IH0 NG"),
        ("stopped", "S T AA1 P T"),
        ("loving", "L AH1 V IH0 NG"),
        ("kindness", "K AY1 N D N AH0 S"),
        ("roadmate", "R OW1 D M EY2 T"),
        ("roadmate's", "R OW1 D M EY2 T S"),
        ("ABC", "EY1 B IY1 S IY1"),
        ("hmm", "EY1 CH EH1 M EH1 M"),
        ("A B", "EY1 B IY1"),
        ("A cat", "AH0 K AE1 T"),
    ],
)
def test_words_are_put_together_from_known_ones(phones, word, wanted):
    assert " ".join(phones.symbols(word)) == wanted


def test_stress_and_word_boundaries_are_choices():
    frontend = Arpabet(ArpabetConfig(stress=False, word_boundaries=True), parse(LEXICON.splitlines()))
    frontend.train(["cat"])
    assert frontend.symbols("cat, love.") == ["K", "AE", "T", ",", SPACE, "L", "AH", "V", "."]
    assert "AE1" not in frontend.tokens


def test_a_bundle_speaks_without_the_dictionary(phones, tmp_path, monkeypatch):
    phones.save(tmp_path)
    assert all(path.suffix in SUFFIXES for path in tmp_path.iterdir()), "files that bundles hold"
    monkeypatch.setattr("espnet3_tts.text.arpabet.cmu_dictionary", lambda: pytest.fail("asked"))
    loaded = Arpabet(ArpabetConfig())
    loaded.load(tmp_path)
    for text in ("the roadmate's bobcat", "zyzzyva", "A B. 3"):
        assert loaded.encode(text) == phones.encode(text)
    (tmp_path / "lexicon.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"lexicon\.txt: cannot be read"):
        Arpabet(ArpabetConfig()).load(tmp_path)


def test_the_cmu_dictionary(tmp_path):
    words = cmu_dictionary()
    assert len(words) == 126_052
    assert words["the"] == ("DH", "AH0")
    assert words["kathleen"] == ("K", "AE0", "TH", "L", "IY1", "N")
    assert "the(2)" not in words
    folder = Path(lexicon.__file__).parent / "cmudict"
    assert "Carnegie Mellon University" in (folder / "LICENSE").read_text("utf-8")
    lexicon.save_lexicon(words, tmp_path)
    saved = (tmp_path / lexicon.LEXICON_FILE).read_bytes()
    assert saved == gzip.decompress((folder / "lexicon.txt.gz").read_bytes())


def test_all_phones_of_the_dictionary_are_in_the_inventory():
    tokens = set(Arpabet(ArpabetConfig(), {}).tokens)
    assert {phone for phones in cmu_dictionary().values() for phone in phones} <= tokens


def test_ipa_needs_its_extra(monkeypatch):
    from espnet3_tts.text import espeak

    espeak._library.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="espeak-ng, which is not installed") as caught:
        Ipa(IpaConfig()).train(["hello"])
    assert caught.value.hint == "pip install 'espnet3-tts[ipa]'"


def test_ipa_learns_its_sounds(tmp_path, caplog):
    pytest.importorskip("espeakng_loader")
    from espnet3_tts.text import espeak

    espeak._library.cache_clear()
    frontend = Ipa(IpaConfig())
    frontend.train(["Hello, world. It is 3.5."])
    assert "".join(frontend.symbols("Hello, world.")).replace(SPACE, " ") == "həlˈoʊ, wˈɜːld."
    frontend.save(tmp_path)
    loaded = Ipa(IpaConfig())
    loaded.load(tmp_path)
    assert loaded.encode("Hello, world.") == frontend.encode("Hello, world.")
    with pytest.raises(UserError, match=r"sounds that the training texts do not have: 'ʃ' \(U\+0283"):
        loaded.encode("she")
    skipping = Ipa(IpaConfig(unknown="skip"))
    skipping.load(tmp_path)
    assert SPACE in skipping.symbols("she world")
    assert "'ʃ' (U+0283" in caplog.text
    with pytest.raises(UserError, match="voice is 'en-us', and here it is 'de'"):
        Ipa(IpaConfig(voice="de")).load(tmp_path)
    with pytest.raises(UserError, match="spell is for letters"):
        IpaConfig(unknown="spell")
