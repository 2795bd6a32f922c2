"""dvc-codec info: what a .dvc file says of itself, without decoding a frame."""

import argparse
import json
from pathlib import Path
from typing import Any

from dvc_codec.cli.options import Commands, printable
from dvc_codec.container import (
    VERSION,
    FrameKind,
    Hdr,
    Packet,
    Reader,
    StreamKind,
    chapters_of,
    hdr_of,
)

EXAMPLES = """examples:
  dvc-codec info in.dvc
  dvc-codec info in.dvc --scan               (kinds of frames, where the bytes went)
  dvc-codec info in.dvc --json | jq .frames
"""


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "info",
        help="what a .dvc file holds, from its header and index",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="FILE", type=Path, help="a .dvc file")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--scan", action="store_true", help="read all of it: kinds of frames, where bytes went"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print it, as a list or as JSON."""
    with Reader(arguments.source) as reader:
        facts = as_json(arguments.source, reader)
        if arguments.scan:
            facts |= scanned(facts["bytes"], reader)
    print(json.dumps(facts) if arguments.json else as_lines(facts))


def scanned(size: int, reader: Reader) -> dict[str, dict[str, int]]:
    """Frames of each kind; bytes of I frames, of P and B frames, sound and the like, everything
    around them. What is damaged is in none but the last.
    """
    kinds = {kind.name: 0 for kind in FrameKind}
    parts = {"intra": 0, "inter": 0, "companions": 0}
    for found in reader.chunks(tolerant=True):
        if isinstance(found, Packet):
            parts["companions"] += len(found.data)
            continue
        for frame in found.frames:
            kinds[frame.kind.name] += 1
            name = "intra" if frame.kind == FrameKind.I else "inter"
            parts[name] += sum(map(len, frame.payloads))
    return {
        "frames_by_kind": kinds,
        "bytes_by_part": {**parts, "overhead": size - sum(parts.values())},
    }


def as_json(source: Path, reader: Reader) -> dict[str, Any]:
    """All that header and index say."""
    header = reader.header
    size = source.stat().st_size
    frames, colour = reader.frame_count, header.colour
    seconds = float(frames / header.frame_rate)
    return {
        "file": str(source),
        "format_version": VERSION,
        "bytes": size,
        "width": header.width,
        "height": header.height,
        "frames": frames,
        "frame_rate": str(header.frame_rate),
        "seconds": seconds,
        "sample_aspect_ratio": str(header.sample_aspect_ratio),
        "rotation": header.rotation,
        "colour": {
            "range": colour.range,
            "primaries": colour.primaries,
            "transfer": colour.transfer,
            "matrix": colour.matrix,
            "chroma_location": colour.chroma_location,
        },
        "hdr": _hdr(hdr_of(header, reader.name)),
        "lambda": header.lambda_milli / 1000,
        "longest_gop": header.gop_length,
        "gops": len(reader.index),
        "bits_per_pixel": 8 * size / max(1, frames * header.width * header.height),
        "kbit_per_second": 8 * size / seconds / 1000 if seconds else 0.0,
        "model": header.model_name,
        "model_sha256": header.model_hash.hex(),
        "streams": [
            {"kind": _kind(stream.kind), "codec": stream.codec, "tags": dict(stream.tags)}
            for stream in header.streams
        ],
        "tags": dict(header.tags),
        "chapters": [
            {"start": chapter.start / 1e9, "end": chapter.end / 1e9, "title": chapter.title}
            for chapter in chapters_of(header, reader.name)
        ],
        "complete": not reader.index_rebuilt,
    }


def as_lines(facts: dict[str, Any]) -> str:
    """The same, for people."""
    colour = ", ".join(f"{name} {value}" for name, value in facts["colour"].items())
    lines = [
        ("file", f"{facts['file']}, format version {facts['format_version']}"),
        (
            "video",
            f"{facts['width']}x{facts['height']}, {facts['frames']} frames in {facts['gops']} GOPs "
            f"(of at most {facts['longest_gop']}), {facts['frame_rate']} frames/s, "
            f"{facts['seconds']:.3f} s",
        ),
        (
            "size",
            f"{facts['bytes']} bytes, {facts['bits_per_pixel']:.4f} bits per pixel, "
            f"{facts['kbit_per_second']:.0f} kbit/s{', all streams' if facts['streams'] else ''}",
        ),
        ("lambda", f"{facts['lambda']:g}" if facts["lambda"] else "by rate control"),
        ("model", f"{facts['model']} ({facts['model_sha256'][:16]})"),
        ("shape", f"samples {facts['sample_aspect_ratio']}, rotated by {facts['rotation']}"),
        ("colour", colour),
    ]
    if facts["hdr"]:
        lines.append(("hdr", ", ".join(f"{name} {value}" for name, value in facts["hdr"].items())))
    for stream in facts["streams"]:
        tags = ", ".join(f"{key} {value}" for key, value in stream["tags"].items())
        lines.append(("stream", f"{stream['kind']}, {stream['codec']}; {tags}"))
    lines += [("tag", f"{key}: {value}") for key, value in facts["tags"].items()]
    lines += [
        ("chapter", f"{chapter['start']:.3f} s: {chapter['title']}")
        for chapter in facts["chapters"]
    ]
    if kinds := facts.get("frames_by_kind"):
        lines.append(("frames", ", ".join(f"{count} {kind}" for kind, count in kinds.items())))
    if parts := facts.get("bytes_by_part"):
        lines.append(("bytes", ", ".join(f"{name} {count}" for name, count in parts.items())))
    if not facts["complete"]:
        lines.append(("damage", "the file is cut or damaged: it has no index; counts are of what "
                                "is whole"))  # fmt: skip
    return "\n".join(f"{name:<8}{printable(text)}" for name, text in lines)


def _hdr(hdr: Hdr | None) -> dict[str, Any] | None:
    """As chromaticities and cd/m²."""
    if hdr is None:
        return None
    facts: dict[str, Any] = {}
    if hdr.mastering:
        x_and_y = [value / 50_000 for value in hdr.mastering[:8]]
        for number, name in enumerate(("red", "green", "blue", "white")):
            facts[name] = x_and_y[2 * number : 2 * number + 2]
        most, least = (value / 10_000 for value in hdr.mastering[8:])
        facts |= {"most_luminance": most, "least_luminance": least}
    if hdr.light:
        facts |= {"max_cll": hdr.light[0], "max_fall": hdr.light[1]}
    return facts


def _kind(number: int) -> str:
    known = {int(kind): kind.name.lower() for kind in StreamKind}
    return known.get(number, f"kind {number}")
