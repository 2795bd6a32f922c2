"""All of one sequence: curves, time, pictures at equal bits, the inside of a frame."""

from html import escape

from dvc_codec.evaluation.report.charts import curves_of, legend, timeline
from dvc_codec.evaluation.report.curves import rate_figure
from dvc_codec.evaluation.report.exhibits import Exhibit, Shown
from dvc_codec.evaluation.report.subject import Subject, codec_legend, slug_of
from dvc_codec.evaluation.task import OURS


def sequence_section(this: Subject, exhibit: Exhibit) -> str:
    """One section of the page."""
    results, name, slug = this.results, exhibit.sequence, slug_of(exhibit.sequence)
    points = results.of(name, OURS)
    group = f"{points[0].group}, " if points[0].group else ""
    facts = f"{group}{exhibit.width}x{exhibit.height}, {points[0].frames} frames"
    curves = rate_figure(
        this,
        lambda measure: curves_of(results, name, measure),
        slug,
        name,
        name,
        f"{name}, {facts}. {this.short}",
    )
    return (
        f'<h2 id="{escape(slug)}">{escape(name)}</h2>\n<p class="note">{escape(facts)}</p>\n'
        f'{codec_legend(results)}<div class="columns">{curves}{_timeline(this, exhibit)}</div>\n'
        f"{_split(this, exhibit)}{_strip(this, exhibit)}"
    )


def _timeline(this: Subject, exhibit: Exhibit) -> str:
    ours, other = exhibit.ours, exhibit.other
    if not ours.bits or not ours.psnr:
        return ""
    parts = list(dict.fromkeys(part for frame in ours.bits for part in frame))
    entries = [(f'<rect class="bar b{n}" x="6" y="1" width="14" height="12"/>', part)
               for n, part in enumerate(parts)]  # fmt: skip
    number = this.results.codecs.index(other.codec) if other else 1
    css = f"s{number}"
    line = '<line class="line {}" x1="1" y1="7" x2="25" y2="7"/>'
    entries = [(line.format("s0"), OURS), *entries]
    if other:
        entries.insert(1, (line.format(css), f"{other.codec}, equal bits"))
    drawn = timeline(ours, other, parts, f"time-{slug_of(exhibit.sequence)}", css)
    about = f" {escape(exhibit.rate)}" if other else ""
    return (
        f"<figure>{drawn}{legend(entries)}<figcaption>Every frame: PSNR of dvc-codec"
        f"{' and the anchor' if other else ''}; bars are dvc-codec's bits by part"
        f"{', the line the anchor’s' if other else ''}. Bars that are cut have their height in "
        f"numbers.{about} {escape(this.short)}</figcaption></figure>"
    )


def _split(this: Subject, exhibit: Exhibit) -> str:
    if exhibit.missing:
        return f'<p class="note">No pictures of this sequence: {escape(exhibit.missing)}</p>\n'
    if len(exhibit.pictures) < 2:
        return ""
    slug = slug_of(exhibit.sequence)
    source, ours, *others = exhibit.pictures
    under = others[0] if others else source
    name = exhibit.other.codec if exhibit.other else "source"
    size = f'width="{exhibit.width}" height="{exhibit.height}"'
    choice = ""
    if others:
        boxes = "".join(
            f'<label><input type="radio" name="under-{slug}" data-under="split-{slug}" '
            f'data-from="{slug}-{what}" data-name="{escape(label)}"{chosen}>{escape(label)}</label>'
            for what, label, chosen in (("anchor", name, " checked"), ("source", "source", ""))
        )
        choice = f'<fieldset class="switch" aria-label="right side">{boxes}</fieldset>'
    spare = (
        f'<img id="{slug}-source" hidden alt="" src="{source.uri}">'
        f'<img id="{slug}-anchor" hidden alt="" src="{under.uri}">'
        if others
        else ""
    )
    captions = "; ".join(picture.caption for picture in exhibit.pictures[1:])
    return (
        f"<h3>The same bits, side by side</h3>\n{choice}"
        f'<figure><div class="split" id="split-{slug}">'
        f'<img class="under" {size} alt="{escape(under.caption)}" src="{under.uri}">'
        f'<div class="over"><img {size} alt="{escape(ours.caption)}" src="{ours.uri}"></div>'
        '<div class="bar-at"></div><b class="left">dvc-codec</b>'
        f'<b class="right">{escape(name)}</b>'
        '<input type="range" min="0" max="100" value="50" step="0.5" '
        'aria-label="how much of dvc-codec is seen"></div>'
        f"<figcaption>{escape(captions)}. {escape(exhibit.rate)} {escape(exhibit.frame)} "
        f"{escape(this.short)}</figcaption>"
        f"{spare}</figure>\n"
    )


def _strip(this: Subject, exhibit: Exhibit) -> str:
    if not exhibit.inside:
        return ""

    def figure(shown: Shown) -> str:
        caption = escape(shown.caption)
        return (
            f'<figure><img loading="lazy" width="{exhibit.width}" height="{exhibit.height}" '
            f'alt="{caption}" src="{shown.uri}"><figcaption>{caption}</figcaption></figure>'
        )

    shown = "".join(figure(one) for one in exhibit.inside)
    return (
        f'<h3>Inside that frame</h3>\n<div class="strip">{shown}</div>\n'
        '<p class="note">What the decoder has, from the file alone. '
        f"{escape(exhibit.rate)} {escape(exhibit.frame)} {escape(this.short)}</p>\n"
    )
