import json
from pathlib import Path
from typing import Any

import pytest

from dvc_codec.errors import UsageError
from dvc_codec.evaluation.report.published import load_published, published_for


def curve(**other: Any) -> dict[str, Any]:
    """As the file has them."""
    one = {
        "source_repo": "somebody/paper",
        "codec": "DVC",
        "dataset": "HEVC Class D",
        "condition": "GOP 12, first 100 frames",
        "metric": "PSNR",
        "points": [[0.2, 33.0], [0.1, 31.0]],
        "note": "",
    }
    return one | other


def test_what_matches_is_drawn_in_order_and_with_its_conditions() -> None:
    (found,) = published_for([curve()], "HEVC D", "rgb", 12, whole=False)
    assert found.points == ((0.1, 31.0), (0.2, 33.0))
    assert (found.codec, found.condition) == ("DVC", "GOP 12, first 100 frames")


@pytest.mark.parametrize(
    "other",
    [
        {"condition": "GOP 32"},
        {"condition": ""},
        {"condition": "GOP 12, all frames"},
        {"condition": "GOP 12, cropped to 1920x1024"},
        {"metric": "MS-SSIM"},
        {"dataset": "HEVC Class C"},
        {"codec": "baseline"},
    ],
)
def test_other_conditions_are_left_out(other: dict[str, Any]) -> None:
    assert not published_for([curve(**other)], "HEVC D", "rgb", 12, whole=False)


def test_a_single_group_is_an_intra_period_of_minus_one() -> None:
    one = curve(
        codec="VTM-17.0 low-delay B",
        dataset="HEVC_D/BasketballPass_416x240_50.yuv",
        condition="YUV420 8-bit input, intra period -1, all frames",
        metric="ave_all_frame_msssim",
        points=[[0.1, 0.99], [0.05, 0.9]],
    )
    (found,) = published_for([one], "BasketballPass", "ms-ssim", -1, whole=True)
    assert found.points == ((0.05, pytest.approx(10)), (0.1, pytest.approx(20)))
    assert not published_for([one], "BasketballPass", "ms-ssim", 32, whole=True)


def test_a_file_that_is_no_list_of_curves_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([curve()]))
    assert load_published(path) == [curve()]
    for text in ("{", '[{"codec": "DVC"}]', "[1]"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"p\.json: is not a list"):
            load_published(path)
