"""What a folder of rows says: which statistics have moved, since when, and from what to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hilum.errors import ConfigError
from hilum.levels import DISCLAIMER
from hilum.monitor.detector import FILMS_PER_FALSE_ALARM, Alarm, Detector
from hilum.monitor.journal import Rows
from hilum.monitor.live import columns
from hilum.monitor.ranks import Floats
from hilum.monitor.words import hint, label_of
from hilum.records import Array, Reference

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class Moved:
    """A statistic that gave an alarm."""

    statistic: str
    sentence: str
    look_at: str
    since_day: str
    """Day of the first film that seems to be of the other kind."""
    since_film: int
    """Its number; the first film followed is 1."""
    seen_day: str
    seen_film: int
    alarms: int
    """One where it moved once; more where it stayed where it went, or moved on."""
    before: float
    """Of the reference: the median, or the share where the statistic is yes or no."""
    after: float
    """The same of the films from ``since_film`` on."""


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """All that is known of a folder's films. Holds no patient data."""

    films: int
    """Films that were followed."""
    first_day: str
    last_day: str
    reference: str
    """What they were held against, in words."""
    reference_films: int
    per_false_alarm: int
    moved: tuple[Moved, ...]
    """In the order in which they were seen."""
    refused: float
    """Share."""
    reference_refused: float
    other: int
    """Lines of the folder that were left out: by other members, or not to be read."""
    names: tuple[str, ...]
    levels: Floats = field(repr=False)
    """N×K: how near each statistic was to an alarm after each film."""
    values: Array = field(repr=False)
    days: tuple[str, ...] = field(repr=False)
    reference_values: Array = field(repr=False)


def summarise(rows: Rows, reference: Reference | None, baseline: int = 0) -> Summary:
    """Follow a folder's films against a reference, or against their own first ``baseline``.

    Raises ConfigError where the films are not more than the baseline.
    """
    names, known, words = rows.names, rows.values[:baseline], f"the folder's own first {baseline:,} films"
    if reference is not None and not baseline:
        names, known = reference.record.statistics, reference.values
        words = f"{reference.record.films:,} films of {reference.record.patients:,} validation patients"
    followed = rows.values[baseline:]
    if not len(followed):
        raise ConfigError(
            f"The folder has {len(rows.values):,} films, which a baseline of {baseline:,} uses up. "
            "Expected more: wait, or lower --baseline."
        )
    values, days = columns(rows.names, followed, names), rows.days[baseline:]
    levels, alarms = Detector(names, known).follow(values)
    refused = names.index("refused")
    return Summary(
        films=len(values),
        first_day=days[0],
        last_day=days[-1],
        reference=words,
        reference_films=len(known),
        per_false_alarm=FILMS_PER_FALSE_ALARM,
        moved=_moved(names, alarms, known, values, days),
        refused=float(values[:, refused].mean()),
        reference_refused=float(known[:, refused].mean()),
        other=rows.other,
        names=names,
        levels=levels,
        values=values,
        days=days,
        reference_values=known,
    )


def _moved(
    names: tuple[str, ...], alarms: list[Alarm], known: Array, values: Array, days: tuple[str, ...]
) -> tuple[Moved, ...]:
    first: dict[str, Alarm] = {}
    for alarm in alarms:
        first.setdefault(alarm.statistic, alarm)
    found = []
    for name, alarm in first.items():
        column = names.index(name)
        before, after = centre(name, known[:, column]), centre(name, values[alarm.since : alarm.film + 1, column])
        label = label_of(name)
        far = label.higher if after > before else label.lower
        sentence = f"{far}: {_within(label.title)} {shown(name, after)}, in the reference {shown(name, before)}."
        if after == before:
            sentence = f"{label.title} is spread otherwise than in the reference, about the same middle, {shown(name, before)}."
        found.append(
            Moved(
                statistic=name,
                sentence=sentence,
                look_at=hint(name, after > before),
                since_day=days[alarm.since],
                since_film=alarm.since + 1,
                seen_day=days[alarm.film],
                seen_film=alarm.film + 1,
                alarms=sum(one.statistic == name for one in alarms),
                before=before,
                after=after,
            )
        )
    return tuple(found)


def _within(title: str) -> str:
    """Return a title as it stands within a sentence."""
    return title[0].lower() + title[1:]


def centre(name: str, values: Array) -> float:
    """Return the median, or the share of a statistic that is yes or no."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    return float(known.mean() if name == "refused" else np.median(known))


def shown(name: str, value: float) -> str:
    """Return a figure as people read it."""
    return f"{value:.1%}" if name == "refused" else f"{value:.3g}"


def to_dict(summary: Summary) -> Mapping[str, Any]:
    """Return a summary ready for JSON, without the films' own rows."""
    return {
        "films": summary.films,
        "first_day": summary.first_day,
        "last_day": summary.last_day,
        "reference": summary.reference,
        "reference_films": summary.reference_films,
        "films_per_false_alarm": summary.per_false_alarm,
        "refused": round(summary.refused, 4),
        "reference_refused": round(summary.reference_refused, 4),
        "other_lines": summary.other,
        "moved": [asdict(one) for one in summary.moved],
        "levels": {name: round(float(x), 3) for name, x in zip(summary.names, summary.levels[-1], strict=True)},
        "disclaimer": DISCLAIMER,
    }
