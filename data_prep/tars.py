"""Clips as tar shards in WebDataset's manner, for many machines: KEY.mp4 and KEY.json a clip.

    python -m data_prep.tars DATA OUT --per-tar 500

Every clip is a file of its own, so any process can take any part; the WebDataset library streams
them, and `--data.data OUT` reads them too.
"""

import argparse
import io
import json
import os
import tarfile
from pathlib import Path

import av

from data_prep.shards import RATE, Planar
from dvc_codec.training.clips import load_clips


def write_tars(data: Path, out: Path, *, per_tar: int = 500, crf: float = 8) -> int:
    """-> clips written to ``out/clips-00000.tar`` and so on."""
    found = load_clips(data)
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(found.numbers), per_tar):
        path = out / f"clips-{first // per_tar:05d}.tar"
        part = path.with_name(path.name + ".part")
        with tarfile.open(part, "w") as tar:
            for place in range(first, min(first + per_tar, len(found.numbers))):
                key = f"{place:08d}"
                about = {"clip": found.numbers[place], "frames": found.pictures.shape[1]}
                _add(tar, f"{key}.json", json.dumps(about).encode())
                _add(tar, f"{key}.mp4", coded(found.pictures[place].numpy(), crf))
        os.replace(part, path)
    return len(found.numbers)


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
