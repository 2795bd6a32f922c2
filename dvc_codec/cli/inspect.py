"""dvc-codec inspect: one page that shows what is in a .dvc file, frame by frame."""

import argparse
import html
import json
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dvc_codec.cli.info import as_json as file_facts
from dvc_codec.cli.info import as_lines
from dvc_codec.cli.options import (
    Commands,
    add_common,
    at_least_one,
    check_distinct,
    model_of_source,
    number,
    writable_part,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.container import Reader
from dvc_codec.errors import CannotWrite

if TYPE_CHECKING:
    from dvc_codec.codec.look import FrameFacts
    from dvc_codec.video import ColourTags

EXAMPLES = """examples:
  dvc-codec inspect in.dvc page.html
  dvc-codec inspect in.dvc page.html --against in.mp4 --start 3 --frames 64 --pictures 8
"""
WIDEST = 720  # pixels of a picture in the page


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "inspect",
        help="show the inside of a .dvc file as a page of HTML",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="FILE", type=Path, help="a .dvc file")
    parser.add_argument("target", metavar="PAGE", type=Path, help="the .html file to make")
    parser.add_argument(
        "--against", metavar="VIDEO", help="the video it was made from: PSNR, and a split view"
    )
    parser.add_argument("--start", type=number, default=0.0, metavar="T", help="seconds to skip")
    parser.add_argument("--frames", type=at_least_one, metavar="N", help="at most N frames")
    parser.add_argument(
        "--pictures",
        type=at_least_one,
        default=16,
        metavar="N",
        help="frames that are shown as pictures, spread evenly (default: 16)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Decode, and write the page."""
    check_distinct(arguments.source, {"PAGE": arguments.target, "--against": arguments.against})
    from dvc_codec.codec.decoder import Decoder
    from dvc_codec.codec.look import look_into

    model = model_of_source(arguments)
    with Decoder(arguments.source, model, strict=True) as decoder:
        first = decoder.frame_at(arguments.start) if arguments.start else 0
        total = decoder.frame_count - first
        colour = decoder.info.colour
    with Reader(arguments.source) as reader:
        facts = as_lines(file_facts(arguments.source, reader))
    total = min(total, arguments.frames or total)
    shown = {round(i) for i in np.linspace(first, first + total - 1, arguments.pictures)}
    rows = []
    with ProgressLine(not arguments.quiet, events=arguments.events) as line:
        frames = look_into(
            arguments.source, model, source=arguments.against, first=first, count=arguments.frames
        )
        for done, frame in enumerate(frames, 1):
            rows.append(row(frame, colour if frame.number in shown else None))
            line.show(done, total)
    write(arguments.target, page(arguments.source.name, facts, rows))
    if not arguments.quiet:
        size = arguments.target.stat().st_size
        print(f"{arguments.target}: {len(rows)} frames, {size} bytes; open it in a browser")


def row(frame: "FrameFacts", colour: "ColourTags | None") -> dict[str, Any]:
    """What the page needs of a frame; with ``colour`` its pictures too."""
    facts: dict[str, Any] = {
        "n": frame.number,
        "kind": frame.kind,
        "t": round(frame.seconds, 4),
        "rate": frame.rate_index,
        "bits": dict(frame.bits),
        "exact": frame.exact,
        "psnr": None if frame.psnr is None else round(frame.psnr, 2),
    }
    if colour is not None:
        facts["pictures"] = pictures(frame, colour)
    return facts


def pictures(frame: "FrameFacts", colour: "ColourTags") -> dict[str, str]:
    """Views of a frame by name, as data URLs."""
    from dvc_codec.video.colours import around_grey, as_data_url, flow_wheel, heat, to_rgb

    views = {"reconstruction": as_data_url(to_rgb(frame.picture, colour), photo=True, most=WIDEST)}
    if frame.source is not None:
        rgb = to_rgb(frame.source, colour)
        views["source"] = as_data_url(rgb, photo=True, most=WIDEST)
        error = np.abs(frame.source.y.astype(np.float32) - frame.picture.y)
        views["error"] = as_data_url(heat(error, 24), photo=True, most=WIDEST)
    if (inside := frame.insides) is not None:
        rgb = to_rgb(inside.prediction, colour)
        views["prediction"] = as_data_url(rgb, photo=True, most=WIDEST)
        views["residual"] = as_data_url(around_grey(inside.residual, 4), photo=True, most=WIDEST)
        if inside.flow is not None:
            largest = float(np.quantile(np.hypot(*inside.flow), 0.98))
            views["flow"] = as_data_url(flow_wheel(inside.flow, largest), photo=False, most=WIDEST)
        most = float(np.quantile(inside.bits, 0.99))
        views["bits"] = as_data_url(heat(inside.bits, most), photo=False, most=WIDEST)
    return views


def page(name: str, facts: str, rows: Iterable[dict[str, Any]]) -> str:
    """The whole page: no other file, no network."""
    template = (files("dvc_codec") / "cli" / "inspect.html").read_text(encoding="utf-8")
    data = json.dumps(list(rows)).replace("<", "\\u003c")
    texts = {"NAME": html.escape(name), "FACTS": html.escape(facts), "DATA": data}
    return re.sub("{{(NAME|FACTS|DATA)}}", lambda mark: texts[mark[1]], template)


def write(target: Path, text: str) -> None:
    """Whole under its name, or not at all."""
    part = writable_part(target)
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CannotWrite(f"{target}: cannot be written: {error.strerror or error}") from error
