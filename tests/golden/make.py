"""Makes the golden files: .dvc files that must decode to the same for ever.

    python -m tests.golden.make [NAME...]

Files whose groups have one frame do not depend on weights. The others name a small network whose
weights are made, not stored (``tests.shaken.narrow``): a change of the bitstream's P frames, or of
that network's layers, needs them anew, which before version 1 is released is allowed. Then
``python -m tests.golden.make --p-frames``.
"""

import argparse
import hashlib
import json
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.frame_decoder import FrameParser, Parsed
from dvc_codec.codec.model import Model
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import hash_of
from dvc_codec.container import Reader, places
from dvc_codec.networks.config import Metric
from dvc_codec.video import ColourTags, VideoInfo, open_writer
from tests.codec.test_sound import film
from tests.moving import moving_square, noise, panned_texture, scene_cut
from tests.shaken import narrow

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
    gop: int = 1
    metric: Metric = "mse"


GOLDEN = (
    Golden("one-frame", frames=1),
    Golden("hevc"),
    Golden("av1", intra="av1"),
    Golden("vvc", intra="vvc"),
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
    Golden("p-texture", frames=5, gop=32),
    Golden("p-groups", frames=6, gop=3, intra="av1"),
    Golden("p-cut", content="cut", frames=6, gop=32),
    Golden("p-square", content="square", frames=4, gop=4),
    Golden("p-noise", content="noise", size=(33, 31), frames=3, gop=4),
    Golden("p-odd", size=(65, 47), frames=3, gop=4),
    Golden("p-1x1", size=(1, 1), frames=4, gop=4),
    Golden("p-wide", size=(400, 10), frames=3, gop=4),
    Golden("p-coarse", lagrangian=64, frames=4, gop=4),
    Golden("p-fine", lagrangian=4096, frames=3, gop=4),
    Golden("p-sound", content="film", frames=4, gop=4, intra="auto"),
    Golden("s-texture", frames=5, gop=32, metric="ms-ssim"),
    Golden("s-odd", size=(65, 47), frames=3, gop=4, intra="auto", metric="ms-ssim"),
)


def golden_model() -> Model:
    """Stands for weights that no picture here depends on."""
    return Model("golden", bytes(range(32)), PFrameCodec())


def narrow_model(metric: Metric = "mse") -> Model:
    """The weights of the files with P frames."""
    name = "narrow" if metric == "mse" else f"narrow {metric}"
    return Model(
        name, hashlib.sha256(f"dvc-codec {name} 1".encode()).digest(), narrow(metric).eval()
    )


def model_of(golden: Golden) -> Model:
    """The weights of a file."""
    return narrow_model(golden.metric) if golden.gop > 1 else golden_model()


def make(golden: Golden, folder: Path, model: Model) -> Path:
    """The file, in ``folder``."""
    source, target = folder / "source.mkv", folder / f"{golden.name}.dvc"
    if golden.content == "film":
        film(source, frames=golden.frames)
    else:
        contents = {
            "texture": panned_texture,
            "square": moving_square,
            "noise": noise,
            "cut": scene_cut,
        }
        pictures = contents[golden.content](size=golden.size, frames=golden.frames)
        info = VideoInfo(*golden.size, golden.rate, 1 / golden.rate, golden.ratio, golden.colour)
        source = source.with_suffix(".y4m" if min(golden.size) < 2 else ".mkv")
        with open_writer(source, info, lossless=True) as writer:
            for pts, picture in enumerate(pictures):
                writer.write(picture, pts)
    encode_file(
        source,
        target,
        lagrangian=golden.lagrangian,
        gop=golden.gop,
        intra=golden.intra,
        model=model,
    )
    source.unlink()
    return target


def decoded(path: Path, model: Model) -> dict[str, object]:
    """What a golden file comes to.

    ``pictures`` are hashes of what the encoder saw and ``brightness`` the mean luma of what is
    decoded: a machine that rounds otherwise may show slightly other P frames, and says so; what it
    calls exact has the hash. ``symbols`` are checksums of all that is parsed, in coding order,
    of files with P frames.
    """
    with Decoder(path, model, strict=True) as decoder, Reader(path) as reader:
        gops = [reader.read_gop(number) for number in range(len(reader.index))]
        parser = FrameParser(model, decoder.header)
        parsed = [
            (gop.first_frame + place.number, parser.parse(record, place))
            for gop in gops
            for record, place in zip(gop.frames, places(gop), strict=True)
        ]
        in_display_order = [found for _, found in sorted(parsed, key=lambda found: found[0])]
        frames = list(decoder.frames())
        for (frame, exact), found in zip(frames, in_display_order, strict=True):
            assert exact == (hash_of(frame.picture) == found.record.picture_hash)
            assert exact or found.still is None
        header = decoder.header
        packets = [p for n in range(decoder.gop_count + 1) for p in decoder.packets_before(n)]
        said = {
            "size": [header.width, header.height],
            "rate": str(header.frame_rate),
            "pts": [frame.pts for frame, _ in frames],
            "pictures": [f"{found.record.picture_hash:08x}" for found in in_display_order],
            "packets": len(packets),
        }
        if any(found.still is None for found in in_display_order):
            said["symbols"] = [checksum(found) for _, found in parsed]
            said["brightness"] = [round(float(f.picture.y.mean()), 3) for f, _ in frames]
        return said


def checksum(parsed: Parsed) -> str:
    """CRC-32 of a frame's symbols; of none for an I frame."""
    value = 0
    for plane in parsed.symbols.values():
        value = zlib.crc32(plane.int().contiguous().numpy().astype("<i4").tobytes(), value)
    return f"{value:08x}"


def main() -> None:
    """Make all of them anew, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--p-frames", action="store_true", help="all that have P frames")
    arguments = parser.parse_args()
    found = json.loads(HASHES.read_text())
    for golden in GOLDEN:
        with_p = golden.gop > 1
        wanted = golden.name in arguments.names or (arguments.p_frames and with_p)
        if wanted or not (arguments.names or arguments.p_frames):
            model = model_of(golden)
            path = make(golden, FOLDER, model)
            found[path.name] = decoded(path, model)
    HASHES.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} files in {FOLDER}")


if __name__ == "__main__":
    main()
