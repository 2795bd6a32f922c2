import pytest

from dvc_codec.evaluation.bdrate import Curve, bd_psnr, bd_rate

# x265-veryfast on BasketballPass, 32 frames or so: a curve as they are.
CURVE: Curve = ((0.05, 31.0), (0.09, 33.4), (0.15, 35.7), (0.23, 38.2), (0.36, 40.6), (0.55, 43.1))


def scaled(curve: Curve, rate: float = 1.0, db: float = 0.0) -> Curve:
    return [(r * rate, q + db) for r, q in curve]


def test_a_curve_against_itself_is_zero() -> None:
    assert bd_rate(CURVE, CURVE).value == pytest.approx(0, abs=1e-9)
    assert bd_psnr(CURVE, CURVE).value == pytest.approx(0, abs=1e-9)
    assert bd_rate(CURVE, CURVE).overlap == 1


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.25])
def test_a_scaled_rate_is_that_many_percent(factor: float) -> None:
    assert bd_rate(CURVE, scaled(CURVE, rate=factor)).value == pytest.approx(100 * (factor - 1))


def test_a_shifted_quality_is_that_many_db() -> None:
    assert bd_psnr(CURVE, scaled(CURVE, db=0.7)).value == pytest.approx(0.7)


def test_the_better_codec_has_negative_rate_and_positive_db() -> None:
    better = scaled(CURVE, rate=0.8)
    rate, gain = bd_rate(CURVE, better).value, bd_psnr(CURVE, better).value
    assert rate is not None and rate < 0
    assert gain is not None and gain > 0


def test_other_numbers_of_points_and_any_order_will_do() -> None:
    smooth = [(0.05 * 2**i, 31 + 2.5 * i) for i in range(6)]
    few = [scaled(smooth, rate=1.1)[i] for i in (4, 1, 3, 0)]
    value = bd_rate(smooth, few).value
    assert value == pytest.approx(10)
    assert bd_rate(list(reversed(smooth)), few).value == value


def test_without_a_common_range_there_is_a_reason_instead() -> None:
    above = scaled(CURVE, db=20)
    delta = bd_rate(CURVE, above)
    assert delta.value is None
    assert "the anchor has 31.00 to 43.10 dB, the test 51.00 to 63.10" in delta.reason
    delta = bd_psnr(CURVE, scaled(CURVE, rate=20))
    assert delta.value is None
    assert "0.0500 to 0.5500 bits per pixel" in delta.reason


def test_part_of_a_range_is_said() -> None:
    delta = bd_rate(CURVE[:4], CURVE)
    assert delta.value == pytest.approx(0, abs=1)
    assert delta.overlap == pytest.approx((38.2 - 31.0) / (43.1 - 31.0))


def test_what_is_no_curve_is_refused() -> None:
    assert "2 points" in bd_rate(CURVE, CURVE[:2]).reason
    assert "0 points" in bd_rate([], CURVE).reason
    dented = [*CURVE[:5], (0.55, 40.0)]
    assert "the test does not rise" in bd_rate(CURVE, dented).reason
    assert bd_psnr(dented, CURVE).value is None
