"""The statistics in words that a radiographer would use: what each is, and what to look at when it moves."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.monitor.statistics import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Label:
    """How a statistic is spoken of."""

    title: str
    what: str
    higher: str
    """What films are when it has risen."""
    lower: str
    look_at: str


_EXPOSURE = (
    "exposure, the detector's calibration, the processing of the images, a window or an inversion on the way here"
)
LABELS = {
    "brightness": Label(
        "Brightness",
        "mean grey of the film, 0–1, white = dense",
        "The films are lighter",
        "The films are darker",
        _EXPOSURE,
    ),
    "contrast": Label(
        "Contrast", "standard deviation of the grey values", "The films are harder", "The films are flatter", _EXPOSURE
    ),
    "sharpness": Label(
        "Sharpness",
        "fine detail beside the contrast",
        "The films are sharper or noisier",
        "The films are softer",
        "dose, noise and edge filters, the focus and the detector, a compression or a resizing on the way here",
    ),
    "aspect": Label(
        "Shape",
        "width by height",
        "The films are wider",
        "The films are narrower",
        "collimation, the format of the detector, cropping on the way here",
    ),
    "refused": Label(
        "Refused films",
        "share of the films that the gate refuses",
        "More films are refused",
        "Fewer films are refused",
        "which films are sent: views, children, other examinations; the reasons stand in the answers",
    ),
    "film_share": Label(
        "Looks like a film",
        "how surely the gate takes the picture for a frontal chest film of an adult, 0–1",
        "The pictures look more like the films that the gate learnt from",
        "The pictures look less like frontal chest films of adults",
        "which films are sent: views, children, cropped films; a new machine",
    ),
    "distance": Label(
        "Unfamiliarity",
        "distance from the films that the gate learnt from; above 1 lies beyond them",
        "The films are less familiar to the networks",
        "The films are more familiar to the networks",
        "a new machine, new processing, other patients",
    ),
    "spread": Label(
        "Disagreement",
        "largest minus smallest confidence among the members, mean over the findings",
        "The members disagree more",
        "The members disagree less",
        "whatever else has moved; films of a kind that the members did not learn",
    ),
}


def label_of(statistic: str) -> Label:
    """Return how a statistic is spoken of."""
    if statistic in LABELS:
        return LABELS[statistic]
    name = statistic.removeprefix(CONFIDENCE)
    return Label(
        f"Confidence in {name}",
        "the ensemble's, 0–100",
        f"More films look like {name}",
        f"Fewer films look like {name}",
        f"whether {name} has become {{}} common among the patients; else what the films look like",
    )


def hint(statistic: str, risen: bool) -> str:
    """Return what to look at."""
    return label_of(statistic).look_at.format("more" if risen else "less")
