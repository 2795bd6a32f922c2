"""I frames: still pictures of existing codecs, by name and by the number that files carry.

>>> name, data, decoded = encode_for_lambda(picture, 512)             # doctest: +SKIP
>>> get(name).decode(data, picture.width, picture.height).equals(decoded)     # doctest: +SKIP
True
"""

from dvc_codec.intra.choice import cost, encode_for_lambda, lambda_ratio
from dvc_codec.intra.registry import LEARNED_ID, IntraCodec, by_id, get, names

__all__ = [
    "LEARNED_ID",
    "IntraCodec",
    "by_id",
    "cost",
    "encode_for_lambda",
    "get",
    "lambda_ratio",
    "names",
]
