"""Which films, which models, which software: what somebody needs to make the figures again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from hilum.evaluation.record import Evaluation, Judged
from hilum.evaluation.scorecard.cells import table

CODE = ("Command", "sha256 of names, patients and labels")


def made(evaluation: Evaluation) -> Iterator[str]:
    """Yield the table of films and software, and one for each model."""
    data = evaluation.data
    ages = "not stated" if data.ages is None else f"{data.ages[0]:g} to {data.ages[2]:g} years, median {data.ages[1]:g}"
    facts = {
        "Films": f"{evaluation.films} of {evaluation.patients} patients; the gate refused {evaluation.refused}",
        "Sources": _counts(data.sources.items()),
        "Sources of labels": _counts(data.label_sources.items()),
        "Views": _counts(data.views.items()),
        "Sex": _counts(data.sexes.items()),
        "Age": ages,
        "sha256 of names, patients and labels": data.sha256,
        "Bootstrap": f"{evaluation.replicates:,} draws of patients",
        "Software": ", ".join(f"{name} {version}" for name, version in evaluation.software.items()),
        "Command": evaluation.command or "not stated",
    }
    yield table(
        ("", ""),
        [(escape(name), f"<code>{escape(v)}</code>" if name in CODE else escape(v)) for name, v in facts.items()],
        "facts",
    )
    for one in evaluation.models:
        yield f"<h3>{escape(one.model.name)}</h3>"
        yield table(("", ""), [(escape(k), escape(v)) for k, v in _model(one).items()], "facts")


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in pairs)


def _model(one: Judged) -> dict[str, str]:
    model, trained = one.model, one.model.trained_on
    films = "" if trained.images is None else f", {trained.images:,} films of {trained.patients:,} patients"
    return {
        "Bundle": f"{model.bundle}, version {model.version}, {model.precision}",
        "Trained on": trained.dataset + (" (declared by a user)" if trained.declared else "") + films,
        "Pre-training, teachers": f"{trained.pretraining or 'none'}; {', '.join(trained.teachers) or 'none'}",
        "Licences": f"films: {trained.image_licence or 'not stated'}; labels: {trained.label_licence or 'not stated'}",
        "Made by": f"{trained.command or 'not stated'}, commit {trained.commit or 'not stated'}",
        "Cite": trained.citation or "not stated",
        "sha256": f"manifest {model.sha256}; graph {one.model_sha256}",
        "Warnings": "; ".join(model.warnings) or "none",
    }
