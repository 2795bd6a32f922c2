"""Rate-distortion curves, of one sequence or of the mean, and the picture of speed."""

from collections.abc import Callable
from html import escape

from dvc_codec.evaluation.measures import Measure
from dvc_codec.evaluation.report.charts import Curves, legend, mean_curves, rate_chart, speed_chart
from dvc_codec.evaluation.report.equal_bits import chosen_anchor
from dvc_codec.evaluation.report.published import Published, published_for
from dvc_codec.evaluation.report.subject import Subject, codec_legend
from dvc_codec.evaluation.results import Results


def mean_section(this: Subject) -> str:
    """Curves of the mean, speed, and the switch between qualities."""
    results = this.results
    shared = codec_legend(results)
    count = len(results.sequences)
    chart = rate_figure(
        this,
        lambda measure: mean_curves(results, measure),
        "mean",
        f"mean of {_sequences(count)}",
        _set_name(results),
        f"Mean of rate and of quality over {_sequences(count)} at equal setting. {this.short}",
    )
    against = chosen_anchor(results)
    speed = speed_chart(results, against, "speed") if against else ""
    machine = _machine(results)
    speed_figure = (
        f"<figure>{speed}<figcaption>Rate, quality and speed: mean BD-rate against "
        f"{escape(against or '')}; filled marks are encoding, hollow ones decoding. One thread per "
        f"process, {escape(machine)}. {escape(this.short)}</figcaption></figure>"
        if speed
        else ""
    )
    boxes = "".join(
        f'<label><input type="radio" name="measure" value="{m.name}"'
        f"{' checked' if m is this.measures[0] else ''}>{escape(m.label)}</label>"
        for m in this.measures
    )
    switch = f'<fieldset class="switch" aria-label="quality">{boxes}</fieldset>\n'
    return (
        f'<h2 id="mean">Mean curves, and speed</h2>\n{shared}'
        f"{switch if len(this.measures) > 1 else ''}"
        f'<div class="columns">{chart}{speed_figure}</div>\n'
    )


def rate_figure(
    this: Subject,
    curves: Callable[[Measure], Curves],
    name: str,
    title: str,
    published_as: str,
    caption: str,
) -> str:
    """One figure with a chart for every measure, of which one shows."""
    charts = []
    for measure in this.measures:
        printed = _printed(this, published_as, measure)
        drawn = rate_chart(curves(measure), f"rd-{name}-{measure.name}", title, measure, printed)
        css = "measure on" if measure is this.measures[0] else "measure"
        dashed = legend(
            [
                (f'<line class="line p{n}" x1="1" y1="7" x2="25" y2="7" stroke-dasharray="6 4"/>',
                 f"{one.codec}: {one.condition} ({one.source})")
                for n, one in enumerate(printed)
            ]
        )  # fmt: skip
        empty = '<p class="note">Not measured here.</p>'
        charts.append(
            f'<div class="{css}" data-measure="{measure.name}">{_in_figure(drawn) or empty}'
            f"{dashed if printed else ''}</div>"
        )
    return f"<figure>{''.join(charts)}<figcaption>{escape(caption)}</figcaption></figure>"


def _in_figure(drawn: str) -> str:
    return f"<figure>{drawn}</figure>" if drawn else ""


def _printed(this: Subject, name: str, measure: Measure) -> list[Published]:
    conditions = this.results.conditions
    longest = max(point.frames for point in this.results.points)
    gop = -1 if conditions.gop >= longest else conditions.gop
    whole = conditions.frames is None
    return published_for(this.printed, name, measure.name, gop, whole)


def _sequences(count: int) -> str:
    return "one sequence" if count == 1 else f"{count} sequences"


def _machine(results: Results) -> str:
    return ", ".join(
        dict.fromkeys(str(results.runs[n]["machine"]["processor"]) for n in set(results.run_of))
    )


def _set_name(results: Results) -> str:
    """The name under which curves of this very set are published, if it is one."""
    groups = list(results.groups)
    return groups[0] if len(groups) == 1 else ""
