"""What pictures carry beside their samples that no .dvc file has a place for, by name."""

import av
from av.sidedata.sidedata import SideData, Type

_DOLBY_VISION = "Dolby Vision metadata"
_OF_FRAMES = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.DOVI_RPU_BUFFER: _DOLBY_VISION,
    Type.DOVI_METADATA: _DOLBY_VISION,
    Type.A53_CC: "closed captions",
    Type.STEREO3D: "the layout of stereo pictures",
    Type.SPHERICAL: "the projection of spherical pictures",
    Type.ICC_PROFILE: "an ICC profile",
}
# As FFmpeg's description of a stream begins a line on them
_OF_STREAMS = {
    "DOVI configuration record": _DOLBY_VISION,
    "stereo3d": _OF_FRAMES[Type.STEREO3D],
    "spherical": _OF_FRAMES[Type.SPHERICAL],
    "ICC Profile": _OF_FRAMES[Type.ICC_PROFILE],
}


def uncarried(frame: av.VideoFrame, described: list[str]) -> tuple[str, ...]:
    """Names of what is lost, each once.

    Args:
        frame: the first one of a video.
        described: lines of FFmpeg's description of its stream.
    """
    found = []
    for line in described:
        kind = line.strip().split(":")[0]
        if kind in _OF_STREAMS:
            found.append(_OF_STREAMS[kind])
    for data in frame.side_data:
        if isinstance(data, SideData) and data.type in _OF_FRAMES:
            found.append(_OF_FRAMES[data.type])
    return tuple(dict.fromkeys(found))
