"""The page, from a real evaluation of a generated video."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.model import load_model
from dvc_codec.container import FrameKind, Reader, places
from dvc_codec.errors import DamagedFile
from dvc_codec.evaluation.frame_bits import payload_bits, shown_frames
from dvc_codec.evaluation.report.equal_bits import encode_to_size
from dvc_codec.evaluation.report.inside import take_apart
from dvc_codec.evaluation.report.page import page
from dvc_codec.evaluation.report.pictures import as_uri
from dvc_codec.evaluation.report.svg import MARKS, Plot, Scale, document, mark
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.task import OURS, write_source
from dvc_codec.video.colours import around_grey, flow_wheel, heat
from tests.files import pictures_of, write_video
from tests.moving import panned_texture

FRAMES = 4


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, shaken_weights: Path) -> Path:
    """results.json and report.html of one video under two codecs."""
    folder, out = (tmp_path_factory.mktemp(name) for name in ("videos", "out"))
    write_video(folder / "a<b.y4m", panned_texture(size=(128, 128), frames=FRAMES))
    words = ["evaluate", "--data", str(folder), "--out", str(out), "--lambdas", "128,512,2048"]
    words += ["--anchors", "x264-veryfast", "--model", str(shaken_weights), "--metrics", "rgb"]
    assert main(words) == 0
    return out


class Outline(HTMLParser):
    """Checks that every element is closed; collects ids and sources."""

    VOID = ("meta", "img", "input", "br", "line", "rect", "polyline", "polygon", "path", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.ids += [said["id"]] if said.get("id") else []  # type: ignore[list-item]
        self.sources += [said["src"]] if said.get("src") else []  # type: ignore[list-item]
        self.links += [said["href"]] if said.get("href") else []  # type: ignore[list-item]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()


def test_the_page_is_whole_and_needs_no_other_file(evaluated: Path) -> None:
    text = (evaluated / "report.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.sources and all(s.startswith("data:image/webp") for s in outline.sources)
    assert all(link[0] == "#" and link[1:] in outline.ids for link in outline.links)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "nan" not in re.sub(r"base64,[^\"]+", "", text).lower().split()
    assert "a&lt;b" in text and "a<b" not in text
    for part in ("BD-rate", "frames per second", "kbit per frame", "residual: decoded minus"):
        assert part in text
    # Conditions under every picture: charts of rate and of speed, time, the slider, the strip.
    assert text.count("GOP 32, all frames, 8-bit 4:2:0") >= 7
    assert text.count("<figcaption") == 4 + 1 + 4


def test_the_anchor_beside_ours_has_as_many_bytes(evaluated: Path) -> None:
    text = (evaluated / "report.html").read_text(encoding="utf-8")
    found = re.search(r"x264-veryfast at point ([\d.]+): ([\d.]+)% of its bytes", text)
    assert found is not None
    assert float(found[2]) == pytest.approx(100, abs=25)  # 128x128: a step of x264 is not small


def test_sizes_are_met_where_rates_are_fine(tmp_path: Path, evaluated: Path) -> None:
    results = Results.load(evaluated / "results.json")
    data = Path(results.conditions.data) / "a<b.y4m"
    write_source(Sequence("a", data), tmp_path / "source.y4m")
    known = results.of("a<b", "x264-veryfast")
    wanted = (known[1].file_bytes + known[2].file_bytes) // 2
    target = tmp_path / "c.264"
    point = encode_to_size(tmp_path / "source.y4m", target, "x264-veryfast", known, wanted, 32)
    assert known[2].point < point < known[1].point
    assert target.stat().st_size == pytest.approx(wanted, rel=0.08)


def test_without_the_weights_or_the_files_the_rest_is_there(evaluated: Path) -> None:
    results = Results.load(evaluated / "results.json")
    from dvc_codec.evaluation.report.exhibits import exhibits

    text = page(results, exhibits(results, None), [])
    assert "No pictures of this sequence: the weights" in text
    assert "kbit per frame" in text and "<img" not in text


def test_a_frame_s_inside_is_what_the_file_says(evaluated: Path, shaken_weights: Path) -> None:
    results, model = Results.load(evaluated / "results.json"), load_model(shaken_weights)
    point = results.of("a<b", OURS)[-1]
    coded = evaluated / point.coded
    inside = take_apart(coded, model, 2)
    decoded = evaluated / "decoded.y4m"
    assert main(["decode", str(coded), str(decoded), "--model", str(shaken_weights)]) == 0
    assert inside.decoded.equals(pictures_of(decoded)[2])
    assert inside.frame == 2
    assert inside.flow.shape == (2, 128, 128)
    assert inside.bits.shape == (8, 8)
    assert inside.bits.sum() == pytest.approx(inside.payload_bits, rel=0.1, abs=80)
    # The picture moves right by 1.5 pixels a frame, so the prediction looks to the left.
    with Reader(coded) as reader:
        place = next(p for p in places(reader.read_gop(0)) if p.number == 2)
    assert place.past is not None
    moved = -1.5 * (place.number - place.past)
    assert np.median(inside.flow[0]) == pytest.approx(moved, abs=0.7)
    assert np.median(inside.flow[1]) == pytest.approx(0, abs=0.5)
    with pytest.raises(DamagedFile, match="no P frame"):
        take_apart(coded, model, 0)


def test_bits_of_frames_are_the_file_s(evaluated: Path) -> None:
    point = Results.load(evaluated / "results.json").of("a<b", OURS)[0]
    counted = payload_bits(evaluated / point.coded)
    assert [sum(f.values()) for f in point.frame_bits] == [sum(f.values()) for f in counted]
    kinds = [frame.kind for frame in shown_frames(evaluated / point.coded)]
    assert ["intra" in frame for frame in point.frame_bits] == [k is FrameKind.I for k in kinds]


def test_flow_zero_is_white_and_directions_differ() -> None:
    flow = np.zeros((2, 1, 4), np.float32)
    flow[:, 0, 1:] = [[2, -2, 0], [0, 0, 2]]
    white, right, left, down = flow_wheel(flow, 2)[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0]
    assert min(np.abs(a - b).max() for a, b in ((right, left), (left, down), (down, right))) > 100


def test_colours_of_numbers() -> None:
    warm = heat(np.array([[0, 1, 2, 4, 9]], np.float32), 4)[0].astype(int).sum(-1)
    assert (np.diff(warm)[:3] > 0).all() and warm[3] == warm[4]
    assert around_grey(np.array([[-40, 0, 2]], np.float32), 4)[0, :, 0].tolist() == [0, 128, 136]
    assert as_uri(np.zeros((5, 7, 3), np.uint8)).startswith("data:image/webp;base64,UklGR")


def test_scales_and_ticks() -> None:
    scale = Scale(0.01, 1, 0, 100, log=True)
    assert scale(0.1) == pytest.approx(50)
    assert scale.ticks() == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert Scale(0.001, 100, 0, 1, log=True).ticks() == [0.001, 0.01, 0.1, 1, 10, 100]
    down = Scale(30, 40, 200, 100)
    assert (down(30), down(40), down.ticks(5)) == (200, 100, [30, 32, 34, 36, 38, 40])


def test_a_mark_outside_the_frame_is_left_out() -> None:
    plot = Plot("t", Scale(0, 1, 10, 90), Scale(0, 1, 90, 10), 100, 100)
    plot.mark((0.5, 0.5), "circle", "s0", "in <it>")
    plot.mark((2, 0.5), "circle", "s0", "out")
    drawn = document([plot], "x")
    assert "in &lt;it&gt;" in drawn and "out" not in drawn
    assert len({mark(0, 0, shape, "s0") for shape in MARKS}) == len(MARKS)
