"""A learned video codec: real videos to .dvc files and back.

>>> import dvc_codec
>>> summary = dvc_codec.encode_file("in.mp4", "out.dvc", quality=50)      # doctest: +SKIP
>>> with dvc_codec.Decoder("out.dvc") as decoder:                        # doctest: +SKIP
...     pictures = [frame.rgb() for frame in decoder]

The import is light: torch is loaded when one of these is first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dvc_codec.api import DecodedFrame, Decoder, Encoder, decode_file, encode_file

__all__ = ["DecodedFrame", "Decoder", "Encoder", "__version__", "decode_file", "encode_file"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dvc_codec import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
