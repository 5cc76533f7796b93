"""CLAIM, the Checklist for Artificial Intelligence in Medical Imaging: what a scorecard answers, and what it leaves open.

Numbers as in Mongan, Moy and Kahn 2020 (Radiology: Artificial Intelligence 2:e200029); the subjects are in our words. What the 2024
update (Tejani and others, Radiology: Artificial Intelligence 6:e240300) added comes last, without a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Literal, NamedTuple

from hilum.evaluation.scorecard.cells import table

Answer = Literal["yes", "part", "no"]
ANSWERS: dict[Answer, str] = {"yes": "answered", "part": "in part", "no": "open"}


class Item(NamedTuple):
    """One item of the checklist."""

    number: int | None
    subject: str
    answered: Answer
    where: str
    """Where the scorecard answers it, or who has to."""


ITEMS: tuple[Item, ...] = (
    Item(1, "title says that and which AI is studied", "yes", "heading and models"),
    Item(2, "structured summary", "part", "the opening; no conclusions are drawn"),
    Item(3, "background, intended use and role", "no", "yours to state"),
    Item(4, "objectives and hypotheses", "no", "yours to state"),
    Item(5, "prospective or retrospective", "no", "known to whoever gathered the films"),
    Item(6, "goal of the study", "no", "yours to state"),
    Item(7, "data sources", "part", "sources and label sources with their films; dates and places are not known here"),
    Item(8, "eligibility", "part", "the command's options, and how many films the gate refused"),
    Item(9, "preprocessing", "yes", "the bundle's input specification, obeyed by training and serving alike"),
    Item(10, "selection of subsets of the data", "part", "the command's options"),
    Item(
        11, "definitions of data elements", "part", "findings by one vocabulary; publishers' names are mapped onto it"
    ),
    Item(12, "de-identification", "no", "done, or not, before the films came here"),
    Item(13, "missing data", "yes", "unknown labels are left out, finding by finding, with the counts"),
    Item(
        14,
        "definition of the reference standard",
        "part",
        "label sources are named; how each was made, its publisher says",
    ),
    Item(15, "rationale of the reference standard", "no", "yours to state"),
    Item(
        16, "source of annotations, and annotators' qualifications", "part", "sources are named, qualifications are not"
    ),
    Item(17, "annotation tools", "no", "known to the publishers"),
    Item(18, "variability between and within annotators", "no", "the table has one label a film"),
    Item(19, "intended sample size", "no", "none was planned here; the intervals show what the size allows"),
    Item(20, "how data were assigned to partitions", "part", "by a list of patients; how it was drawn, its maker says"),
    Item(21, "level at which partitions are disjoint", "yes", "patients"),
    Item(22, "description of the model", "part", "architecture and input are in the bundle, the graph with it"),
    Item(23, "software", "yes", "versions below"),
    Item(24, "initialisation", "yes", "pre-training and teachers, under models"),
    Item(25, "training approach", "part", "command and commit, under models"),
    Item(26, "choice of the final model", "no", "yours to state"),
    Item(27, "ensembling", "yes", "mean of calibrated confidences; beside its members above"),
    Item(28, "metrics", "yes", "defined in the documentation: what the figures mean"),
    Item(29, "significance and uncertainty", "yes", "95 % intervals by bootstrap over patients; paired differences"),
    Item(30, "robustness", "part", "groups by view, sex, age and source; no perturbed films"),
    Item(31, "explainability, and its validation", "part", "heat maps, validated where boxes were given"),
    Item(32, "testing on external data", "no", "only you know whether these films are external to the training's"),
    Item(33, "flow of participants", "part", "films judged and refused; nothing before the table"),
    Item(34, "demographics of each partition", "part", "of these films; the training's are not known here"),
    Item(35, "performance on all partitions", "part", "on these films"),
    Item(36, "estimates of performance with their precision", "yes", "the table of findings"),
    Item(37, "failure analysis", "part", "groups; single films are not shown, to keep patients' data out"),
    Item(38, "limitations", "part", "what the figures do not say"),
    Item(39, "implications for practice", "no", "none follow from a scorecard"),
    Item(40, "registration", "no", "yours to state"),
    Item(41, "access to the protocol", "part", "the command reproduces every figure from the same films"),
    Item(42, "funding", "no", "yours to state"),
    Item(None, "image acquisition (2024)", "part", "views; devices and settings are not known here"),
    Item(
        None, "availability of software, model and data (2024)", "part", "licences, hashes and citation of the models"
    ),
)


def claim() -> Iterator[str]:
    """Yield the checklist with its counts."""
    counts = {answer: sum(item.answered == answer for item in ITEMS) for answer in ANSWERS}
    yield (
        "<p>Checklist for Artificial Intelligence in Medical Imaging, numbered as in Mongan and others 2020; what the 2024 update "
        f"(Tejani and others) added comes last. {counts['yes']} items are answered here, {counts['part']} in part, "
        f"{counts['no']} stay open: they are for whoever publishes these figures.</p>"
    )
    rows = [
        (
            str(item.number or "–"),
            escape(item.subject),
            f'<span class="{item.answered}">{ANSWERS[item.answered]}</span>',
            escape(item.where),
        )
        for item in ITEMS
    ]
    yield table(("Item", "Subject", "Here", "Where, or why not"), rows, "claim")
