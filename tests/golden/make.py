"""Makes the golden files: .dvc files that must decode to the same samples for ever.

    python -m tests.golden.make [--with-p-frames]

Groups of one frame alone by default: those do not depend on weights. Files with P frames are for
the day when weights and bitstream stay as they are; they name the shipped weights.
"""

import argparse
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import hash_of
from dvc_codec.video import ColourTags, VideoInfo, open_writer
from tests.codec.test_sound import film
from tests.moving import moving_square, noise, panned_texture

FOLDER = Path(__file__).parent
HASHES = FOLDER / "hashes.json"
PLAIN = ColourTags()


@dataclass(frozen=True)
class Golden:
    """What a file shows."""

    name: str
    size: tuple[int, int] = (64, 48)
    frames: int = 2
    intra: str = "hevc"
    lagrangian: float = 512.0
    colour: ColourTags = PLAIN
    ratio: Fraction = Fraction(1)
    rate: Fraction = Fraction(25)
    content: str = "texture"


GOLDEN = (
    Golden("one-frame", frames=1),
    Golden("hevc"),
    Golden("av1", intra="av1"),
    Golden("auto", intra="auto", frames=3),
    Golden("odd", size=(65, 47)),
    Golden("odd-av1", size=(97, 33), intra="av1"),
    Golden("1x1", size=(1, 1)),
    Golden("2x2-av1", size=(2, 2), intra="av1"),
    Golden("wide", size=(400, 10)),
    Golden("portrait", size=(48, 120), intra="av1"),
    Golden("coarse", lagrangian=64),
    Golden("coarse-av1", lagrangian=64, intra="av1"),
    Golden("fine", lagrangian=4096),
    Golden("fine-av1", lagrangian=4096, intra="av1"),
    Golden("square", content="square"),
    Golden("noise", content="noise", frames=1),
    Golden("noise-av1", content="noise", frames=1, intra="av1"),
    Golden("bt709", colour=ColourTags(1, 1, 1, 1, 1)),
    Golden("full-range", colour=ColourTags(2, 5, 6, 5, 2), intra="av1"),
    Golden("ntsc", rate=Fraction(30000, 1001), ratio=Fraction(8, 9), frames=4),
    Golden("sound", content="film", frames=3),
)


def golden_model() -> Model:
    """Stands for weights that no picture here depends on."""
    return Model("golden", bytes(range(32)), PFrameCodec())


def make(golden: Golden, folder: Path, model: Model, gop: int) -> Path:
    """The file, in ``folder``."""
    source, target = folder / "source.mkv", folder / f"{golden.name}.dvc"
    if golden.content == "film":
        film(source, frames=golden.frames)
    else:
        contents = {"texture": panned_texture, "square": moving_square, "noise": noise}
        pictures = contents[golden.content](size=golden.size, frames=golden.frames)
        info = VideoInfo(*golden.size, golden.rate, 1 / golden.rate, golden.ratio, golden.colour)
        source = source.with_suffix(".y4m" if min(golden.size) < 2 else ".mkv")
        with open_writer(source, info, lossless=True) as writer:
            for pts, picture in enumerate(pictures):
                writer.write(picture, pts)
    encode_file(
        source, target, lagrangian=golden.lagrangian, gop=gop, intra=golden.intra, model=model
    )
    source.unlink()
    return target


def decoded(path: Path, model: Model) -> dict[str, object]:
    """What a golden file must come to."""
    with Decoder(path, model, strict=True) as decoder:
        frames = list(decoder.frames())
        assert all(exact for _, exact in frames)
        header = decoder.header
        packets = [p for n in range(decoder.gop_count + 1) for p in decoder.packets_before(n)]
        return {
            "size": [header.width, header.height],
            "rate": str(header.frame_rate),
            "pts": [frame.pts for frame, _ in frames],
            "pictures": [f"{hash_of(frame.picture):08x}" for frame, _ in frames],
            "packets": len(packets),
        }


def main() -> None:
    """Make all of them anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--with-p-frames", action="store_true")
    with_p = parser.parse_args().with_p_frames
    found = {}
    for golden in GOLDEN:
        path = make(golden, FOLDER, golden_model(), 1)
        found[path.name] = decoded(path, golden_model())
        if with_p and golden.frames > 1:
            model = load_model()
            path = make(golden, FOLDER, model, 32).rename(FOLDER / f"p-{golden.name}.dvc")
            make(golden, FOLDER, golden_model(), 1)
            found[path.name] = decoded(path, model)
    HASHES.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} files in {FOLDER}")


if __name__ == "__main__":
    main()
