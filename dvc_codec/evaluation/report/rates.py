"""BD-rates of our codec against every anchor, as tables."""

from collections.abc import Sequence as Several
from html import escape

from dvc_codec.evaluation.bdrate import bd_psnr, bd_rate
from dvc_codec.evaluation.report.subject import Subject
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.task import OURS

FEW = 3  # anchors: the two tables fit beside each other


def bd_section(this: Subject) -> str:
    """By sequence, class and in the mean, and then by quality; "" without anchors."""
    results = this.results
    anchors = results.codecs[1:]
    if not anchors:
        return ""
    notes: list[str] = []
    rows = []
    grouped = [group for group in results.groups if group]
    for group, names in results.groups.items():
        rows += [_bd_row(results, name, [name], anchors, notes) for name in names]
        if group and len(results.groups) > 1:
            rows.append(_bd_row(results, f"{group}, mean", names, anchors, notes, mean=True))
    every = results.sequences
    rows.append(_bd_row(results, f"mean of {len(every)}", every, anchors, notes, mean=True))
    head = "".join(f"<th>{escape(name)}</th>" for name in anchors)
    listed = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(notes))
    beside = ' class="columns"' if len(anchors) <= FEW else ""
    classes = f" Classes: {', '.join(grouped)}." if len(grouped) > 1 else ""
    return (
        f'<h2 id="bd">BD-rate</h2>\n<div{beside}><div><div class="wide"><table>'
        f"<thead><tr><th>dvc-codec against</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
        '<p class="note">Percent of bits that dvc-codec needs for the same weighted PSNR; small: '
        "dB it has at the same bits. Akima interpolation, over what both curves reach; "
        f"a smaller part of ours than 100 % is said.{classes} {escape(this.short)}</p>\n"
        + (f'<ul class="note">{listed}</ul>\n' if listed else "")
        + f"</div><div>{_by_measure(this, anchors)}</div></div>\n"
    )


def _bd_row(
    results: Results,
    title: str,
    names: Several[str],
    anchors: Several[str],
    notes: list[str],
    mean: bool = False,
) -> str:
    cells = []
    for anchor in anchors:
        pairs = [(results.curve(name, anchor), results.curve(name, OURS)) for name in names]
        rates, gains = [bd_rate(*pair) for pair in pairs], [bd_psnr(*pair) for pair in pairs]
        if not mean:
            for delta in (rates[0], gains[0]):
                if delta.value is None:
                    notes.append(f"{title}, {anchor}: {delta.reason}.")
        rate = _mean([delta.value for delta in rates])
        gain = _mean([delta.value for delta in gains])
        part = min((d.overlap for d in rates if d.value is not None), default=1.0)
        of = "" if mean or part > 0.995 else f", {part:.0%} of ours"
        few = sum(delta.value is not None for delta in rates)
        of = f", {few} of {len(rates)}" if mean and few not in (0, len(rates)) else of
        if rate is None:
            cells.append("<td>none</td>")
            continue
        css = "good" if rate < 0 else "bad"
        small = f"{gain:+.2f} dB{of}" if gain is not None else of.lstrip(", ")
        cells.append(f'<td><span class="{css}">{rate:+.1f} %</span><small>{small}</small></td>')
    css = ' class="mean"' if mean else ""
    return f"<tr{css}><th>{escape(title)}</th>{''.join(cells)}</tr>"


def _by_measure(this: Subject, anchors: Several[str]) -> str:
    """Mean BD-rate under every quality that was measured."""
    if len(this.measures) < 2:
        return ""
    results, rows = this.results, []
    for measure in this.measures:
        cells = []
        for anchor in anchors:
            found = [
                bd_rate(results.curve(n, anchor, measure), results.curve(n, OURS, measure)).value
                for n in results.sequences
            ]
            value = _mean(found)
            missing = sum(one is None for one in found)
            part = f"<small>{len(found) - missing} of {len(found)}</small>" if missing else ""
            css = "good" if value is not None and value < 0 else "bad"
            number = "none" if value is None else f'<span class="{css}">{value:+.1f} %</span>'
            cells.append(f"<td>{number}{part if value is not None else ''}</td>")
        rows.append(f"<tr><th>{escape(measure.label)}</th>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in anchors)
    similar = any("ssim" in measure.name for measure in this.measures)
    how = "SSIM and MS-SSIM as -10 log10(1 - x). " if similar else ""
    return (
        '<h3>Mean BD-rate by quality</h3>\n<div class="wide"><table><thead><tr><th>at the same</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>\n"
        f'<p class="note">{how}No encoder was told which quality counts. {escape(this.short)}</p>\n'
    )


def _mean(values: Several[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
