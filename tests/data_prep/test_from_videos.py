"""Any folder of videos to clips: cuts, doubles, black, broken files; shards and septuplets."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from data_prep.from_videos import AFTER_DAMAGE, Report, Wanted, clips_of, main, part_of, prepare
from dvc_codec.errors import NotAVideo
from dvc_codec.training.clips import load_clips
from dvc_codec.video import Picture
from tests.files import write_video
from tests.moving import panned_texture, scene_cut
from tests.training.clips import planar

SMALL = Wanted(width=64, height=64, frames=4, gap=0)


def video(path: Path, pictures: list[Picture]) -> Path:
    return write_video(path, pictures)


def write_h264(path: Path, pictures: list[Picture], group: int) -> None:
    """As many videos are: a key frame every ``group`` frames."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = (
            pictures[0].width,
            pictures[0].height,
            "yuv420p",
        )
        stream.options = {"qp": "4", "g": str(group), "bf": "0", "preset": "ultrafast"}
        for pts, frame in enumerate(planar(pictures)):
            video = av.VideoFrame.from_ndarray(frame.numpy(), format="yuv420p")
            video.pts = pts
            out.mux(stream.encode(video))
        out.mux(stream.encode())


def brighter(pictures: list[Picture]) -> list[Picture]:
    return [replace(p, y=p.y // 2 + 120) for p in pictures]


def test_no_clip_crosses_a_cut(tmp_path: Path) -> None:
    pictures = scene_cut(size=(128, 128), frames=20, at=10)
    pictures[10:] = brighter(pictures[10:])
    report = Report()
    path = video(tmp_path / "a.y4m", pictures)
    assert [first for first, _ in clips_of(path, SMALL, report)] == [0, 4, 10, 14]
    assert report.dropped["cuts"] == 1


def test_doubles_and_black_are_left_out(tmp_path: Path) -> None:
    moving = panned_texture(size=(128, 128), frames=8, shift=(3, 1))
    doubled = [p for p in moving for _ in range(2)]
    black = replace(moving[0], y=np.full_like(moving[0].y, 16))
    report = Report()
    path = video(tmp_path / "a.y4m", [*doubled, black, black])
    clips = [clip for _, clip in clips_of(path, SMALL, report)]
    assert len(clips) == 2 and report.dropped["same"] >= 8 and report.dropped["black"] >= 1
    for clip in clips:
        assert all(np.abs(a.astype(int) - b).mean() > 1 for a, b in pairwise(clip))


def test_pictures_too_small_to_be_scaled_down_are_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "a.y4m", panned_texture(size=(70, 70), frames=4))
    with pytest.raises(NotAVideo, match=r"70x70 is 1\.09 times 64x64"):
        list(clips_of(path, SMALL, Report()))


def test_a_broken_file_is_named_and_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    video(videos / "good.y4m", panned_texture(size=(160, 128), frames=9, shift=(3, 1)))
    (videos / "broken.mp4").write_bytes(b"no video at all" * 100)
    out = tmp_path / "out"
    words = [str(videos), str(out), "--size", "64x64", "--frames", "4", "--gap", "0"]
    assert main([*words, "--test-share", "0"]) == 0
    said = capsys.readouterr().out
    assert "broken.mp4" in said and "1 videos read, 1 passed over" in said
    found = load_clips(out / "train")
    assert found.pictures.shape == (2, 4, 96, 64) and not found.skipped
    header = (out / "train" / "clips.csv").read_text().splitlines()[1]
    assert header == "0,0,4,yuv,good.y4m,0"


def test_no_clip_crosses_a_damaged_place(tmp_path: Path) -> None:
    """A file with a group whose bytes are gone: what follows it is left out, then clips go on."""
    frames = 12 + AFTER_DAMAGE + 8
    pictures = panned_texture(size=(128, 128), frames=frames, shift=(3, 1))
    path = tmp_path / "a.mp4"
    write_h264(path, pictures, group=4)
    with av.open(str(path)) as opened:
        packets = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    at, size = packets[8]
    content[at + 8 : at + size] = bytes(size - 8)
    path.write_bytes(content)
    report = Report()
    firsts = [first for first, _ in clips_of(path, SMALL, report)]
    assert report.damaged[str(path)] >= 1
    assert any(line.startswith(f"damaged: {path}") for line in report.lines())
    assert firsts[:2] == [0, 4] and len(firsts) >= 3 and firsts[2] >= 8 + AFTER_DAMAGE


def test_nothing_but_broken_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no")
    assert main([str(tmp_path), str(tmp_path / "out")]) == NotAVideo.exit_code


def test_septuplets_are_in_vimeo_s_layout(tmp_path: Path) -> None:
    path = video(tmp_path / "a.y4m", panned_texture(size=(128, 128), frames=15, shift=(3, 1)))
    out, wanted = tmp_path / "out", replace(SMALL, frames=7)
    report = prepare(path, out, wanted, test_share=0, septuplets=True)
    assert report.clips == {"train": 2, "test": 0}
    assert (out / "sep_trainlist.txt").read_text() == "00001/0001\n00001/0002\n"
    clips = load_clips(out).pictures
    shards = prepare(path, tmp_path / "shards", wanted, test_share=0, crf=1)
    assert shards.clips == report.clips
    same = load_clips(tmp_path / "shards" / "train").pictures
    assert float((clips.float() - same.float()).abs().mean()) < 2  # through RGB


def test_a_video_is_of_one_part_for_ever() -> None:
    names = [f"{number}.mp4" for number in range(1000)]
    parts = [part_of(name, 0.2) for name in names]
    assert 150 < parts.count("test") < 250
    assert all(part_of(n, 0.3) == "test" for n, p in zip(names, parts, strict=True) if p == "test")


def test_shards_keep_pictures(tmp_path: Path) -> None:
    from data_prep.shards import ShardWriter
    from tests.training.clips import moving_clips

    clips = moving_clips(3, 4, size=(128, 64))
    with ShardWriter(tmp_path, 4, per_shard=2, crf=1) as writer:
        for clip in clips:
            writer.write(clip.numpy())
    found = load_clips(tmp_path).pictures
    assert torch.equal(torch.tensor(found.shape), torch.tensor(clips.shape))
    assert float((found.float() - clips.float()).abs().mean()) < 1.5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips.csv", "shard-0.mp4", "shard-1.mp4"]
