"""The whole page, and write_report()."""

import os
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from dvc_codec.codec.model import Model
from dvc_codec.errors import CannotWrite
from dvc_codec.evaluation.bdrate import bd_rate
from dvc_codec.evaluation.report.curves import mean_section
from dvc_codec.evaluation.report.exhibits import Exhibit, exhibits
from dvc_codec.evaluation.report.rates import bd_section
from dvc_codec.evaluation.report.sequence import sequence_section
from dvc_codec.evaluation.report.subject import Subject, slug_of
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.tables import commands_of, conditions_of
from dvc_codec.evaluation.task import OURS


def write_report(
    results: Results,
    target: Path,
    *,
    model: Model | None = None,
    published: list[dict[str, Any]] | None = None,
    workers: int = 1,
) -> None:
    """Write ``target``, one file of HTML that needs no other.

    Args:
        results: what was measured; the coded files lie beside its file.
        target: the file; it has its name only when it is whole.
        model: our weights, to look inside P frames; without them pictures are left out.
        published: curves of published.load_published, drawn dashed where they match.
        workers: sequences that are decoded at a time.

    Raises CannotWrite.
    """
    part = target.with_name(target.name + ".part")
    text = page(results, exhibits(results, model, workers), published or [])
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    except OSError as error:
        raise CannotWrite(f"{target}: cannot be written: {error.strerror}") from error


def page(results: Results, shown: Iterable[Exhibit], published: list[dict[str, Any]]) -> str:
    """The HTML."""
    this = Subject.of(results, published)
    body = [
        _head(this),
        bd_section(this),
        mean_section(this),
        *(sequence_section(this, exhibit) for exhibit in shown),
        _repeat(this),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>dvc-codec: evaluation</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n"
        f"<body>\n{''.join(body)}<script>\n{_asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _head(this: Subject) -> str:
    results = this.results
    means = []
    for anchor in results.codecs[1:]:
        found = [
            bd_rate(results.curve(name, anchor), results.curve(name, OURS)).value
            for name in results.sequences
        ]
        known = [value for value in found if value is not None]
        if known:
            some = "" if len(known) == len(found) else f" ({len(known)} of {len(found)} sequences)"
            means.append(f"{sum(known) / len(known):+.0f} % against {anchor}{some}")
    said = f"Mean BD-rate: {', '.join(means)}." if means else ""
    links = "".join(
        f'<a href="#{escape(slug_of(name))}">{escape(name)}</a>' for name in results.sequences
    )
    return (
        f"<h1>dvc-codec against other encoders</h1>\n<p>{escape(said)} Negative is fewer bits at "
        "the same quality.</p>\n"
        f'<p class="conditions">{escape(conditions_of(results))}</p>\n'
        f'<p class="jump"><a href="#bd">BD-rate</a><a href="#mean">mean curves</a>{links}'
        '<a href="#repeat">how to repeat it</a></p>\n'
    )


def _repeat(this: Subject) -> str:
    results = this.results
    runs = "".join(
        f"<li>{escape(str(run.get('begun', '')))}: <code>python evaluate.py "
        f"{escape(' '.join(run.get('arguments', [])))}</code>; commit "
        f"{escape(str(run.get('commit'))[:12])}; "
        f"{escape(', '.join(f'{k} {v}' for k, v in run.get('versions', {}).items()))}</li>"
        for run in results.runs
    )
    commands = "".join(
        f"<li>{escape(codec)}<br>{'<br>'.join(f'<code>{escape(c)}</code>' for c in found)}</li>"
        for codec, found in commands_of(results)
    )
    return (
        f'<h2 id="repeat">How to repeat it</h2>\n<ul class="note">{runs}</ul>\n'
        '<p class="note">Commands of one point of each codec; source.y4m has the sequence’s '
        f'frames. The rest is in results.json.</p>\n<ul class="note">{commands}</ul>\n'
    )


def _asset(name: str) -> str:
    return (files("dvc_codec.evaluation.report") / name).read_text(encoding="utf-8")
