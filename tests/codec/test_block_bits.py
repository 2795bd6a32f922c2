"""Where the bits went adds up to the bits that there are."""

from pathlib import Path

import pytest

from dvc_codec.codec.block_bits import BLOCK, block_bits
from dvc_codec.codec.encoder import encode_file
from dvc_codec.codec.frame_decoder import FrameParser
from dvc_codec.codec.model import load_model
from dvc_codec.container import FrameKind, Reader, places
from tests.files import write_video
from tests.moving import panned_texture


def test_blocks_cost_what_the_payload_has(tmp_path: Path, weights: Path) -> None:
    model = load_model(weights)
    source = write_video(tmp_path / "in.y4m", panned_texture(size=(128, 96), frames=4))
    encode_file(source, tmp_path / "v.dvc", model=model)
    with Reader(tmp_path / "v.dvc") as reader:
        gop, header = reader.read_gop(0), reader.header
    parser = FrameParser(model, header)
    for record, place in zip(gop.frames, places(gop), strict=True):
        if record.kind is FrameKind.I:
            parser.parse(record, place)
            continue
        tables, past = parser.memory.tables(record.kind), parser.memory.past(record.kind)
        parsed = parser.parse(record, place)
        maps = block_bits(
            model.codec.prior_of(record.kind),
            tables,
            parsed.symbols,
            parsed.sent,
            parsed.lifts,
            past,
        )
        assert set(maps) == set(parsed.sent)
        for plane in maps.values():
            assert plane.shape[0] * BLOCK >= 96 and plane.shape[1] * BLOCK >= 128
        total = sum(float(plane.sum()) for plane in maps.values())
        assert total == pytest.approx(8 * len(record.payloads[0]), rel=0.1, abs=100)
