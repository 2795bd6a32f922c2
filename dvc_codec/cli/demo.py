"""The sample clip through the codec and back, each way in its own process, and what came of it.

`python -m dvc_codec.cli.demo` leaves its files in ./demo/.
"""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from dvc_codec.cli.options import Parser
from dvc_codec.errors import DvcError

LAMBDA = 1024


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return an exit code: that of the first step that fails."""
    parser = Parser(prog="python -m dvc_codec.cli.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where results go")
    parser.add_argument("--source", type=Path, help="another video than the sample")
    parser.add_argument("--model", type=Path, help="other weights than the shipped ones")
    try:
        given = parser.parse_args(arguments)
        run(given.folder, given.source or sample(), given.model)
    except subprocess.CalledProcessError as error:
        return error.returncode  # its line has been printed
    except DvcError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def sample() -> Path:
    """The clip that ships with the package."""
    return Path(str(files("dvc_codec"))) / "sample" / "flower.mp4"


def run(folder: Path, source: Path, model: Path | None = None) -> None:
    """Encode, decode, compare the two files, print."""
    folder.mkdir(parents=True, exist_ok=True)
    coded, shown = folder / f"{source.stem}.dvc", folder / f"{source.stem}.y4m"
    more = ["--model", str(model)] if model else []
    print(f"encoding {source} at lambda {LAMBDA} ...", flush=True)
    encoded = _step("encode", str(source), str(coded), "--lambda", str(LAMBDA), *more)
    print(f"decoding {coded} in a second process ...", flush=True)
    decoded = _step("decode", str(coded), str(shown), *more)
    frames, psnr = mean_psnr(source, shown)
    exact = "bit-exact" if decoded["bit_exact"] else f"{decoded['differing']} frames differ"
    print(
        f"""
  video    {encoded["width"]}x{encoded["height"]}, {frames} frames, decoded {exact}
  size     {encoded["bytes"]} bytes, {encoded["bits_per_pixel"]:.4f} bits per pixel, \
{encoded["kbit_per_second"]:.0f} kbit/s
  quality  {psnr:.2f} dB (PSNR of Y, U and V weighted 6:1:1, decoded file against source)
  speed    {encoded["frames_per_second"]:.1f} frames/s encoding, \
{decoded["frames_per_second"]:.1f} frames/s decoding

  source   {source}
  coded    {coded}
  decoded  {shown}"""
    )


def mean_psnr(source: Path, decoded: Path) -> tuple[int, float]:
    """Number of frames in ``decoded``, and their mean PSNR in dB against ``source``'s."""
    from dvc_codec.codec.frame_encoder import squared_error, weighted_psnr
    from dvc_codec.video import open_video

    with open_video(source) as before, open_video(decoded) as after:
        each = [
            weighted_psnr(squared_error(a.picture, b.picture))
            for a, b in zip(before, after, strict=True)
        ]
    return len(each), sum(each) / len(each)


def _step(*arguments: str) -> dict[str, Any]:
    """One command in a process of its own -> what it says as JSON."""
    command = [sys.executable, "-m", "dvc_codec.cli.main", *arguments, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    sys.exit(main())
