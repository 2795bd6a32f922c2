"""Frame records in, pictures out: the decoder's loop, and decode_file() around it."""

import bisect
import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from dvc_codec.codec.ahead import ahead
from dvc_codec.codec.beside import PacketsBeside
from dvc_codec.codec.crew import Crew, held, that_fit
from dvc_codec.codec.damage import GopSpan, Times, gops_of, grey
from dvc_codec.codec.frame_decoder import FrameDecoder, FrameParser, Parsed, Reconstructed
from dvc_codec.codec.limits import DEFAULT_LIMITS, Limits
from dvc_codec.codec.model import Model, model_for
from dvc_codec.codec.turns import InTurn
from dvc_codec.container import (
    Gop,
    Hdr,
    Packet,
    Place,
    Reader,
    chapters_of,
    hdr_of,
    places,
)
from dvc_codec.errors import DamagedFile, OutOfRange, WrongModel
from dvc_codec.video import (
    DEFAULT_CRF,
    NO_EXTRAS,
    ColourTags,
    Extras,
    Frame,
    VideoInfo,
    open_writer,
)


@dataclass
class Decoded:
    """What decode_file() did.

    ``differing`` frames are not what the encoder saw (another machine's rounding, or damage);
    ``lost`` ones could not be decoded: ranges of frame numbers, the last one included.
    """

    frames: int = 0
    differing: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    complete: bool = True  # the file has its end
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list)  # what the target has no place for

    @property
    def lost_frames(self) -> int:
        return sum(last - first + 1 for first, last in self.lost)

    def add(self, position: int, shown: "Shown") -> None:
        """Count frame number ``position``."""
        self.frames += 1
        if shown.lost:
            if self.lost and self.lost[-1][1] == position - 1:
                self.lost[-1] = self.lost[-1][0], position
            else:
                self.lost.append((position, position))
        else:
            self.differing += not shown.exact


@dataclass(frozen=True)
class Shown:
    """A decoded frame.

    Args:
        frame: picture and time.
        exact: whether the picture is the encoder's, by its hash.
        lost: whether it could not be decoded; the picture is then the last good one.
    """

    frame: Frame
    exact: bool
    lost: bool = False


class Decoder:
    """A .dvc file as pictures: iterate, from any frame on.

    Args:
        source: the file.
        model: weights; by default the shipped ones that the file names. Raises WrongModel if the
            file names others.
        strict: refuse a damaged file. Else what is damaged is concealed: the last good picture is
            shown again, for as long as the lost ones would have been.
        limits: the largest picture that is decoded.
    """

    def __init__(
        self,
        source: Path,
        model: Model | None = None,
        *,
        strict: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._reader = Reader(source)
        self.header = self._reader.header
        self._strict = strict
        try:
            limits.check(self._reader.name, self.header)
            self._cut = self._reader.read_cut_gop() if not strict else None
            self._plan = gops_of(self._reader, self._cut)
            self._check(source)
            self._model = model or model_for(self.header.model_hash)
            self._check_model(source)
        except BaseException:
            self.close()
            raise

    def _check(self, source: Path) -> None:
        whole = not self._reader.index_rebuilt
        if not self.frame_count or (self._strict and not whole):
            raise DamagedFile(
                f"{source}: the file is cut or damaged at its end: no index, "
                f"{self._reader.frame_count} frames in whole groups; get a complete copy"
                + (", or decode without --strict" if self.frame_count else "")
            )

    def _check_model(self, source: Path) -> None:
        if self._model.sha256 != self.header.model_hash:
            wanted, have = self.header.model_hash.hex()[:16], self._model.sha256.hex()[:16]
            raise WrongModel(
                f"{source}: made with weights {self.header.model_name} ({wanted}), these are "
                f"{self._model.name} ({have}); give the right ones with --model"
            )

    @property
    def frame_count(self) -> int:
        """Frames that come out, those that are lost inside included."""
        return self._plan[-1].end if self._plan else 0

    @property
    def complete(self) -> bool:
        """Whether the file has its end."""
        return not self._reader.index_rebuilt

    @property
    def info(self) -> VideoInfo:
        h, c = self.header, self.header.colour
        return VideoInfo(
            h.width,
            h.height,
            h.frame_rate,
            h.time_base,
            h.sample_aspect_ratio,
            ColourTags(c.range, c.primaries, c.transfer, c.matrix, c.chroma_location),
            frame_count=self.frame_count,
            rotation=h.rotation,
            hdr=self._hdr(),
        )

    def _hdr(self) -> Hdr | None:
        try:
            return hdr_of(self.header, self._reader.name)
        except DamagedFile:
            if self._strict:
                raise
            return None

    @property
    def extras(self) -> Extras:
        """Sound, subtitles, tags and chapters."""
        try:
            chapters = chapters_of(self.header, self._reader.name)
        except DamagedFile:
            if self._strict:
                raise
            chapters = ()
        return Extras(self.header.streams, self.header.tags, chapters)

    def frames(self, first: int = 0, count: int | None = None) -> Generator[tuple[Frame, bool]]:
        """Frames from number ``first`` on, each with whether it is exactly the encoder's picture
        (by its hash). Close it before the decoder where it is not used up: a thread reads ahead.
        """
        with closing(self.shown(first, count)) as all_shown:
            for shown in all_shown:
                yield shown.frame, shown.exact

    def shown(self, first: int = 0, count: int | None = None) -> Generator[Shown]:
        """As :meth:`frames`, and which of them are lost."""
        last = self.frame_count if count is None else min(self.frame_count, first + count)
        picture = grey(self.header)
        group: GopSpan | None = None
        turns: InTurn[Shown | int | None] = InTurn()  # by number; None: nobody wants to see it
        most = that_fit(self.header.width * self.header.height)
        with Crew(most=most) as crew, closing(ahead(self._parsed(first, last))) as all_parsed:
            under_way = held(self._begun(all_parsed, crew, first), crew.ahead)
            for span, number, found, begun in under_way:
                if span is not group:
                    group = span
                    turns.begin(span.start)
                seen = number < min(last, span.end)
                item: Shown | int | None = None
                if isinstance(found, int):  # the time of a lost frame
                    item = found
                elif begun is not None:
                    decoded = begun.result()
                    if seen:
                        exact = decoded.picture_hash == found.record.picture_hash
                        item = Shown(Frame(decoded.picture, found.record.pts), exact)
                for here, ready in turns.add(number, item) if seen else ():
                    if isinstance(ready, int):
                        ready = Shown(Frame(picture, ready), exact=False, lost=True)
                    if ready is not None:
                        picture = ready.frame.picture
                        if here >= first:
                            yield ready

    def _begun(
        self, all_parsed: Iterator[tuple[GopSpan, int, Parsed | int]], crew: Crew, first: int
    ) -> Iterator[tuple[GopSpan, int, Parsed | int, Future[Reconstructed] | None]]:
        """The same, and of frames that are needed what they become."""
        decoder = FrameDecoder(self._model, self.header, crew)
        for span, number, found in all_parsed:
            begun = None
            if isinstance(found, Parsed) and not _is_over(found.place, first - span.start):
                begun = decoder.begin(found)
            yield span, number, found, begun

    def packets_before(self, number: int) -> list[Packet]:
        """Packets of companion streams that stand before GOP ``number`` of the file's index; its
        length means those after the last.
        """
        known = len(self.header.streams)
        return [p for p in self._reader.packets_before(number) if p.stream <= known]

    def gop_at(self, frame: int) -> int:
        """Number in the index of the GOP that has this frame, or of the last one before it."""
        starts = [entry.first_frame for entry in self._reader.index]
        return max(0, bisect.bisect_right(starts, frame) - 1)

    @property
    def gop_count(self) -> int:
        """Number of whole GOPs."""
        return len(self._reader.index)

    def _parsed(self, first: int, last: int) -> Iterator[tuple[GopSpan, int, Parsed | int]]:
        """Numbers in display order, and symbols, of the frames of all groups that hold any of
        [first, last), in coding order as far as it takes; of each group then the times of those
        before ``last`` that are lost.
        """
        parser = FrameParser(self._model, self.header)
        for span in self._plan:
            if span.end <= first or span.start >= last:
                continue
            wanted = range(span.start, min(last, span.end))
            there: set[int] = set()
            gop = None
            try:
                gop = self._gop(span)
                for record, place in zip(gop.frames, places(gop), strict=True) if gop else ():
                    if len(there) == len(wanted):
                        break
                    number = span.start + place.number
                    yield span, number, parser.parse(record, place)
                    if number in wanted:
                        there.add(number)
            except DamagedFile:
                if self._strict:
                    raise
            times = Times(self.header, span, gop)
            for number in wanted:
                if number not in there:
                    yield span, number, times.of(number)

    def _gop(self, span: GopSpan) -> Gop | None:
        if span.number is None:
            return None if span.lost else self._cut
        return self._reader.read_gop(span.number)

    def frame_at(self, seconds: float) -> int:
        """Number of the frame that is shown at this time, at the file's frame rate, counted from
        its first frame.
        """
        finite = math.isfinite(seconds)
        number = math.floor(seconds * self.header.frame_rate + 0.5) if finite else -1
        if not 0 <= number < self.frame_count:
            length = float(self.frame_count / self.header.frame_rate)
            raise OutOfRange(
                f"{self._reader.name}: start at {seconds:g} s, but the file has {length:.3f} s"
            )
        return number

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_over(place: Place, first: int) -> bool:
    """Whether nothing from position ``first`` on needs this picture: B frames between it and its
    future are all before.
    """
    return place.future is not None and place.future <= first


def decode_file(
    source: Path,
    target: str | Path,
    *,
    start: float = 0.0,
    frames: int | None = None,
    lossless: bool | None = None,
    crf: int = DEFAULT_CRF,
    strict: bool = False,
    sound: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    model: Model | None = None,
    progress: Callable[[Decoded, int], None] | None = None,
) -> Decoded:
    """Decode a .dvc file into a video file.

    Args:
        source: the .dvc file.
        target: .y4m (or "-"), .mkv, .mp4 or .yuv.
        start: seconds to skip; only the group of pictures around it is decoded, not what is before.
        frames: how many to decode at most.
        lossless: see :func:`dvc_codec.video.open_writer`.
        crf: the same.
        strict: refuse a damaged file; else lost pictures are concealed, and ``Decoded.lost`` says
            which.
        sound: write sound, subtitles, tags and chapters too, where ``target`` can hold them.
        limits: the largest picture that is decoded.
        model: weights; by default the shipped ones that the file names.
        progress: called after every frame, with the number of frames to come in all.

    Raises:
        DvcError: its subclasses say what; nothing is left under the final name.
    """
    if frames is not None and frames < 1:
        raise OutOfRange(f"frames: found {frames}, expected 1 or more")
    done = Decoded()
    begun = time.monotonic()
    with ExitStack() as stack:
        decoder = stack.enter_context(Decoder(source, model, strict=strict, limits=limits))
        first = decoder.frame_at(start) if start else 0
        total = decoder.frame_count - first
        extras = decoder.extras if sound else NO_EXTRAS
        writer = stack.enter_context(
            open_writer(target, decoder.info, lossless=lossless, crf=crf, extras=extras)
        )
        done.left_out, done.complete = writer.left_out, decoder.complete
        sounds = PacketsBeside(decoder, writer, from_the_start=first == 0) if sound else None
        position = first
        for shown in stack.enter_context(closing(decoder.shown(first, frames))):
            if sounds:
                sounds.before(position, shown.frame.pts)
            writer.write(shown.frame.picture, shown.frame.pts)
            done.add(position, shown)
            position += 1
            done.seconds = time.monotonic() - begun
            if progress:
                progress(done, total if frames is None else min(total, frames))
        if sounds:
            sounds.end(None if frames is None else position)
    done.seconds = time.monotonic() - begun
    return done
