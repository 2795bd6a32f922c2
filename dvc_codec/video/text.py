"""MP4's timed text (3GPP 26.245), which only MP4 can hold, as the plain text that Matroska can."""


class NotText(ValueError):
    """A packet that cannot be what it claims."""


def is_timed_text(codec: str) -> bool:
    """Whether packets of ``codec`` need :func:`as_plain` outside of MP4."""
    return codec == "mov_text"


def as_plain(data: bytes) -> bytes:
    """The text of a packet, without its styles, as SubRip has it: UTF-8.

    >>> as_plain(b"\\x00\\x02Hi" + bytes(8))
    b'Hi'

    Raises NotText where the length is wrong.
    """
    length = int.from_bytes(data[:2], "big")
    text = data[2 : 2 + length]
    if len(data) < 2 or len(text) < length:
        raise NotText("timed text is shorter than it claims")
    if text[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return text.decode("utf-16", errors="replace").encode()
    return text
