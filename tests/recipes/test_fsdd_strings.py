from collections import Counter

import numpy as np
import pytest


@pytest.fixture
def strings(recipe_module):
    return recipe_module("fsdd/asr", "dataset.strings")


@pytest.fixture
def official_strings(strings):
    pool = strings.recordings(strings.SPEAKERS, range(5))
    return list(strings.make_strings(pool, "test", 4))


def test_each_recording_is_used_as_often_as_asked(official_strings):
    used = Counter(recording.name for string in official_strings for recording in string.recordings)
    assert len(used) == 300
    assert set(used.values()) == {4}


def test_the_test_has_900_digits_or_more(official_strings):
    assert sum(len(string.recordings) for string in official_strings) == 1200


def test_strings_have_3_to_7_digits_of_one_speaker_and_no_recording_twice(official_strings):
    assert {len(string.recordings) for string in official_strings} == {3, 4, 5, 6, 7}
    for string in official_strings:
        assert {recording.speaker for recording in string.recordings} == {string.speaker}
        assert len(set(string.recordings)) == len(string.recordings)
    assert len({string.id for string in official_strings}) == len(official_strings)


def test_pauses_are_at_most_250_ms_and_some_are_none(official_strings):
    pauses = [pause for string in official_strings for pause in string.pauses]
    assert min(pauses) >= 0
    assert max(pauses) <= 2000
    assert 0.15 < pauses.count(0) / len(pauses) < 0.25
    assert np.mean([pause for pause in pauses if pause]) == pytest.approx(1000, rel=0.1)


def test_strings_are_the_same_everywhere(official_strings):
    # Values that Python's random.Random promises to keep; a change here changes the published test set.
    first = official_strings[0]
    assert first.text == "9 1 3 9 5 1 8"
    assert [recording.index for recording in first.recordings] == [1, 0, 0, 0, 1, 4, 3]


def test_another_version_gives_other_strings(strings, official_strings):
    pool = strings.recordings(strings.SPEAKERS, range(5))
    other = list(strings.make_strings(pool, "test", 4, version=1))
    assert [string.text for string in other] != [string.text for string in official_strings]


def test_the_waveform_is_recordings_and_silence(strings):
    one, two = strings.Recording(3, "theo", 0), strings.Recording(4, "theo", 1)
    string = strings.DigitString("x", (one, two), (2, 0, 3))
    audio = {one.name: np.array([1, 2], np.int16), two.name: np.array([-7], np.int16)}
    assert strings.render(string, audio).tolist() == [0, 0, 1, 2, -7, 0, 0, 0]
    assert string.text == "3 4"
