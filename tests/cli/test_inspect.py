"""The page that shows a file: whole, self-contained, and true to the file."""

import base64
import io
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest

from dvc_codec.cli.inspect import page
from dvc_codec.cli.main import main
from dvc_codec.codec.look import look_into
from dvc_codec.codec.model import load_model
from dvc_codec.evaluation.frame_bits import shown_frames
from dvc_codec.video import ColourTags, Picture
from dvc_codec.video.colours import flow_wheel, heat, to_rgb
from tests.files import pictures_of, write_video
from tests.moving import panned_texture


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """in.y4m, six frames of 72x56 in groups of four, and v.dvc."""
    folder = tmp_path_factory.mktemp("coded")
    source = write_video(folder / "in.y4m", panned_texture(size=(72, 56), frames=6))
    words = ["encode", str(source), str(folder / "v.dvc"), "--gop", "4", "--quiet"]
    words += ["--recon", str(folder / "recon.y4m"), "--model", str(weights)]
    assert main(words) == 0
    return folder


def test_the_page_has_every_frame_and_its_pictures(
    coded: Path, tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    words = ["inspect", coded / "v.dvc", target, "--against", coded / "in.y4m", "--model", weights]
    assert main([str(word) for word in [*words, "--pictures", "2"]]) == 0
    text = target.read_text()
    assert not re.search(r'(src|href)="?(https?:)?//', text)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    frames = json.loads(found[1])
    assert "".join(frame["kind"] for frame in frames) == "IBPPIP"
    assert [frame["n"] for frame in frames] == list(range(6))
    assert all(frame["exact"] and frame["psnr"] > 25 for frame in frames)
    assert [n for n, frame in enumerate(frames) if "pictures" in frame] == [0, 5]
    views = frames[5]["pictures"]
    assert {"reconstruction", "source", "prediction", "residual", "bits"} <= set(views)
    for name, url in views.items():
        data = base64.b64decode(url.split(",", 1)[1])
        with av.open(io.BytesIO(data)) as opened:
            picture = next(opened.decode(video=0))
        if name == "bits":
            assert (picture.width, picture.height) == (5, 4)
        elif name != "flow":
            assert (picture.width, picture.height) == (72, 56)


def test_bits_add_up_to_the_payloads(coded: Path, weights: Path) -> None:
    model = load_model(weights)
    records = shown_frames(coded / "v.dvc")
    shown = pictures_of(coded / "recon.y4m")
    found = list(look_into(coded / "v.dvc", model))
    for frame, record, picture in zip(found, records, shown, strict=True):
        assert sum(frame.bits.values()) == pytest.approx(8 * len(record.payloads[0]), abs=3)
        assert frame.picture.equals(picture)
        assert frame.psnr is None
    assert [frame.number for frame in look_into(coded / "v.dvc", model, first=5)] == [5]


def test_names_cannot_break_the_page() -> None:
    text = page("<b>{{DATA}}</b>", "a < b", [{"n": "</script>"}])
    assert "&lt;b&gt;{{DATA}}&lt;/b&gt;" in text
    assert "a &lt; b" in text
    assert text.count("</script>") == 2


def test_colours_are_what_screens_show() -> None:
    def rgb(y: int, u: int, v: int, tags: ColourTags) -> list[int]:
        c = np.full((1, 1), 0, np.uint8)
        return to_rgb(Picture(c + np.uint8(y), c + np.uint8(u), c + np.uint8(v)), tags)[
            0, 0
        ].tolist()

    assert rgb(235, 128, 128, ColourTags(range=1)) == [255, 255, 255]
    assert rgb(16, 128, 128, ColourTags(range=1)) == [0, 0, 0]
    assert rgb(255, 128, 128, ColourTags(range=2)) == [255, 255, 255]
    assert rgb(63, 102, 240, ColourTags(range=1, matrix=1)) == pytest.approx([255, 0, 0], abs=2)
    assert rgb(81, 90, 240, ColourTags(range=1, matrix=6)) == pytest.approx([255, 0, 0], abs=2)


def test_the_wheel_and_the_heat() -> None:
    right, up = np.zeros((2, 1, 1), np.float32), np.zeros((2, 1, 1), np.float32)
    right[0], up[1] = 2, -2
    assert flow_wheel(right, 2)[0, 0].tolist() == [255, 0, 0]
    assert flow_wheel(up, 2)[0, 0].tolist() == [128, 255, 0]
    assert flow_wheel(0 * right, 2)[0, 0].tolist() == [255, 255, 255]
    dark, bright = heat(np.array([[0, 9]], np.float32), 4)[0]
    assert dark.sum() < 10 < 600 < bright.sum()


def test_a_damaged_file_has_no_page(coded: Path, tmp_path: Path, weights: Path) -> None:
    data = (coded / "v.dvc").read_bytes()
    (tmp_path / "v.dvc").write_bytes(data[:-30])
    words = ["inspect", tmp_path / "v.dvc", tmp_path / "page.html", "--model", weights]
    assert main([str(word) for word in words]) == 5
    assert not list(tmp_path.glob("page*"))
