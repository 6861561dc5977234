import numpy as np
import pytest
from espnet3_core.errors import UserError
from espnet3_speech.frontends.mel import hz_to_kaldi, hz_to_slaney, slaney_filters, slaney_to_hz


def test_slaney_scale_has_its_defining_points() -> None:
    # 15 mel at 1 kHz, 66 2/3 Hz per mel below it, a factor of 6.4 in 27 mel above it.
    assert hz_to_slaney(np.array([0.0, 200.0, 1000.0, 6400.0])) == pytest.approx([0.0, 3.0, 15.0, 42.0])
    hz = np.array([30.0, 999.0, 1001.0, 7999.0])
    assert slaney_to_hz(hz_to_slaney(hz)) == pytest.approx(hz)


def test_kaldi_scale_puts_1000_hz_close_to_1000_mel() -> None:
    assert hz_to_kaldi(np.array([1000.0]))[0] == pytest.approx(1000.0, abs=0.1)


def test_slaney_triangles_have_unit_area_and_their_peak_between_their_edges() -> None:
    rate, n_fft, bands = 16000, 16384, 20
    filters = slaney_filters(rate, n_fft, bands, 0.0, 8000.0)
    assert filters.sum(0) * rate / n_fft == pytest.approx(np.ones(bands), rel=1e-3)
    points = slaney_to_hz(np.linspace(0.0, hz_to_slaney(np.array([8000.0]))[0], bands + 2))
    assert filters.argmax(0) * rate / n_fft == pytest.approx(points[1:-1], abs=rate / n_fft)


@pytest.mark.parametrize(("fmin", "fmax"), [(-1.0, 4000.0), (4000.0, 4000.0), (0.0, 9000.0)])
def test_impossible_bands_are_refused(fmin: float, fmax: float) -> None:
    with pytest.raises(UserError, match="do not fit audio of 16000 Hz"):
        slaney_filters(16000, 512, 80, fmin, fmax)
