"""Clips as tar shards in WebDataset's manner, for many machines: KEY.mp4 and KEY.json a clip.

    python -m data_prep.tars DATA OUT --per-tar 500

Every clip is a file of its own, so any process can take any part: `--data.data OUT` reads all of
them at the start, `--data.stream true` one by one as training goes on; the WebDataset library
streams them, too.
"""

import argparse
import io
import json
import os
import tarfile
from itertools import chain, islice
from pathlib import Path

import av

from data_prep.shards import RATE, Planar
from dvc_codec.training.clips import find_clips, usable


def write_tars(data: Path, out: Path, *, per_tar: int = 500, crf: float = 8) -> int:
    """-> clips written to ``out/clips-00000.tar`` and so on, one in memory at a time; those that
    cannot be used are named on standard error.
    """
    wanted, decode = find_clips(data)
    clips = usable(data, wanted, decode, [])
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    while first := next(clips, None):
        path = out / f"clips-{written // per_tar:05d}.tar"
        part = path.with_name(path.name + ".part")
        with tarfile.open(part, "w") as tar:
            for number, pictures in chain([first], islice(clips, per_tar - 1)):
                key = f"{written:08d}"
                about = {"clip": number, "frames": len(pictures)}
                _add(tar, f"{key}.json", json.dumps(about).encode())
                _add(tar, f"{key}.mp4", coded(pictures, crf))
                written += 1
        os.replace(part, path)
    return written


def coded(clip: Planar, crf: float) -> bytes:
    """A clip, uint8 (frames, 3 H / 2, W), as an HEVC file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx265", rate=RATE)
        stream.width, stream.height = clip.shape[2], clip.shape[1] * 2 // 3
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": f"{crf:g}", "x265-params": "log-level=none"}
        for number, planar in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(planar, format="yuv420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-tar", type=int, default=500)
    parser.add_argument("--crf", type=float, default=8)
    given = parser.parse_args()
    print(f"{write_tars(given.data, given.out, per_tar=given.per_tar, crf=given.crf)} clips")


if __name__ == "__main__":
    main()
