"""Write what is said of the weights that ship, from their own manifests: docs/explanation/models.md and parts of README.md.

python docs/make_models.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from hilum import pipeline, registry
from hilum.findings import OUTPUTS
from hilum.images import read_image
from hilum.pipeline import unique_names
from hilum.records import EnsembleRecord, Interval, Manifest, OperatingPoint, Policy, Uncertainty
from hilum.report import ml_analysis

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "models.md"
README = ROOT / "README.md"
LEVELS = ROOT / "bench" / "results" / "bands.md"
"""What bench/bands.py printed, kept."""
FIVE_FOLDS = ROOT / "bench" / "results" / "folds.md"
LEFT_OUT = ROOT / "bench" / "results" / "left_out.md"
CURVE = ROOT / "bench" / "results" / "learning_curve.md"
NIH = tuple(name for name in OUTPUTS if name not in ("Fracture", "Hernia", "Normal", "Opacity", "Tuberculosis"))
"""The findings of NIH ChestX-ray14 that the classic members answer for."""
AIM = 0.77
"""Mean AUROC over them that these weights were meant to reach."""
FILM = ROOT / "src" / "hilum" / "server" / "static" / "gallery" / "effusion.jpg"
POLICIES: tuple[str, ...] = get_args(Policy)
NONE = "There are no weights in this tree. `hilum train` makes them: see [Train a member](../how-to/train.md).\n"


def manifests(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests of a folder's whole bundles, the three classic members first."""
    bundles = [registry.load_bundle(path).manifest for path in registry.find_bundles(folder)]
    slots = ("densenet", "mobilenet", "custom", None)
    return tuple(sorted(bundles, key=lambda manifest: (slots.index(manifest.slot), manifest.id)))


def models_page(folder: Path) -> str:
    """Return docs/explanation/models.md for the bundles in ``folder``."""
    members, record = manifests(folder), registry.load_ensemble(folder)
    head = "# The weights that ship\n\nThis page is written by `python docs/make_models.py` from the bundles' manifests.\n\n"
    if not members:
        return head + NONE
    return head + "\n".join(_sections(members, record, folder))


def _sections(members: tuple[Manifest, ...], record: EnsembleRecord | None, folder: Path) -> Iterator[str]:
    yield from _overview(members, folder)
    yield "## AUROC on held-out patients\n"
    yield auroc_table(members, record)
    yield (
        "In brackets the 95 % interval, by bootstrap over patients. Empty: not assessed. A mean is over what its column\n"
        "assesses, so the means of two columns can't be compared; the gains below can. The ensemble's column leaves out the few\n"
        "films that the gate refuses.\n"
    )
    yield from _ensemble(record)
    yield from _reach(record)
    yield "## What the levels hold\n"
    if LEVELS.is_file():
        yield (
            "By the film's top finding, on held-out patients. A finding whose label is unknown counts as absent, so the\n"
            "shares are lower bounds. Why the level never stands alone: [Evidence, confidence, probability](meaning.md).\n"
        )
        yield LEVELS.read_text(encoding="utf-8")
        yield (
            "The hold-out is rich in findings, so read how the shares fall, not how large they are. Made by the command in\n"
            "`bench/bands.py`.\n"
        )
    else:
        yield "Not measured yet; `bench/bands.py` measures it.\n"
    for name, manifest in zip(unique_names(members), members, strict=True):
        yield from _member(name, manifest)
    yield LIMITS


LIMITS = """## What these figures do not say

- All films, of training and of hold-out, are of one institution. Other machines, hospitals and patients were not tried.
- Most labels were mined from reports' text. A network that learnt them and is judged on them looks better than one judged against
  radiologists.
- The films of training and hold-out were chosen, many of them for their findings. How hard the others are to tell from them
  moves an AUROC.
- Of several trainings, of several ways to weigh the members' answers, and of several ways to choose the map that stands for all
  of them, those that ship were chosen with the figures of the held-out patients in sight beside those of the validation patients.
  The figures are therefore a little too good.
- Lateral films were not tried, and neither children nor machines were judged apart.
"""


def _overview(members: tuple[Manifest, ...], folder: Path) -> Iterator[str]:
    yield "| member | id | version | films | patients | assessed | MB |\n|---|---|---|---|---|---|---|"
    for name, manifest in zip(unique_names(members), members, strict=True):
        size = (folder / manifest.id / registry.MODEL).stat().st_size / 1e6
        trained, cells = manifest.trained_on, f"{len(manifest.assessed)} of {len(manifest.outputs)}"
        yield (
            f"| {name} | `{manifest.id}` | {manifest.version} | {_count(trained.images)} | {_count(trained.patients)} "
            f"| {cells} | {size:.1f} |"
        )
    yield ""
    yield "None of them saw CheXpert or MIMIC-CXR. [Data sets](../reference/data-sets.md) says more of each.\n"


def auroc_table(members: tuple[Manifest, ...], record: EnsembleRecord | None) -> str:
    """Return a Markdown table: findings × members and ensemble, AUROC with its interval, means last."""
    columns: list[tuple[str, Mapping[str, Interval | None], Interval | None]] = [
        (name, {o.name: o.auroc for o in manifest.outputs if o.assessed}, manifest.figures.get("mean_auroc"))
        for name, manifest in zip(unique_names(members), members, strict=True)
    ]
    if record is not None:
        columns.append(("Ensemble", record.auroc, record.figures.get("mean_auroc")))
    lines = [
        f"| finding | {' | '.join(name for name, _, _ in columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| {name} | {' | '.join(_interval(aurocs.get(name)) for _, aurocs, _ in columns)} |"
            for name in OUTPUTS
            if any(name in aurocs for _, aurocs, _ in columns)
        ),
        f"| **mean** | {' | '.join(_interval(mean) for _, _, mean in columns)} |",
    ]
    return "\n".join(lines) + "\n"


def _ensemble(record: EnsembleRecord | None) -> Iterator[str]:
    yield "## The ensemble beside its members\n"
    if record is None:
        yield "Not measured: there is no `ensemble.json`. `hilum models combine` makes it.\n"
        return
    yield "Mean AUROC of the ensemble minus the member's, over what that member assesses, on the same held-out patients:\n"
    yield "| member | gain |\n|---|---|"
    for name, gain in record.figures.items():
        if name.startswith("gain over "):
            yield f"| {name.removeprefix('gain over ')} | {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) |"
    yield _votes(record)
    yield "\nThe ensemble's operating points, chosen on the validation patients' ensemble confidence:\n"
    yield from _points({name: points for name in OUTPUTS if (points := record.operating_points.get(name))})
    yield from _uncertainty(record.uncertainty)
    yield f"Made by `{record.command}`.\n"


def _votes(record: EnsembleRecord) -> str:
    """Say who has more than one vote."""
    more = "".join(f", `{member}` {votes}" for member, votes in record.votes.items() if votes > 1)
    return f"\nIn its mean each member has [one vote](meaning.md#the-ensemble-and-its-spread){more}."


FOLDS_SAY = """## Five folds

One split may be lucky. So a short schedule from ImageNet's weights, `mobilenetv2-short.toml`, was cross-validated by patient on
everything but the hold-out. Beside the AUROC of all out-of-fold predictions stand the smallest and the largest of the folds; beside
the mean, the folds' mean and standard deviation. The members that ship learnt longer, and from teachers too: so the figures are of
the schedule, not of them. The others were not cross-validated.
"""
LEFT_OUT_SAYS = """## Films from a source that was left out

A network may learn which collection a film is from instead of what it shows. So the short MobileNetV2 was trained without each
source, and judged on its films beside the one that was trained with all. To leave films out costs something whosever they are; the
curve below says how much. What lies beyond that, the network had learnt of the collection itself: how its films were chosen, and
who labelled them. On films of a collection that these weights never saw, expect it to be missing.
"""
CURVE_SAYS = """## What more films would carry

The short MobileNetV2, taught by a part of the training patients, judged on the same patients each time; mean over its 15 outputs:
"""
AIM_SAYS = """On held-out patients, a mean of {aim} over {count} findings of NIH ChestX-ray14 (all but Hernia) was aimed at, and
{verdict}. A DenseNet121 that learnt from all of NIH's training films, twenty times as many, has 0.838 on its test patients
(`bench/anchor.py`): so more films would carry far, and every further doubling less than the last two did.
"""


def _reach(record: EnsembleRecord | None) -> Iterator[str]:
    """Yield what five folds and sources left out showed, what more films would carry, and what was aimed at."""
    for path, says in ((FIVE_FOLDS, FOLDS_SAY), (LEFT_OUT, LEFT_OUT_SAYS), (CURVE, CURVE_SAYS)):
        if path.is_file():
            yield says
            yield path.read_text(encoding="utf-8")
            yield f"Made by the command in `bench/{path.stem}.py`.\n"
    if record is not None and all(name in record.auroc for name in NIH):
        reached = sum(record.auroc[name].value for name in NIH) / len(NIH)
        verdict = "reached" if reached >= AIM else f"not reached: it is {reached:.3f}"
        yield AIM_SAYS.format(aim=AIM, count=len(NIH), verdict=verdict)


def _uncertainty(known: Uncertainty | None) -> Iterator[str]:
    """Yield what the ensemble promises, and at which miss rate it claims Normal."""
    if known is None:
        return
    without = "; ".join(f"{name} ({why})" for name, why in known.no_set.items()) or "none"
    yield (
        f"[Sets](uncertainty.md) promise a coverage of {known.promise:.0%}, from {known.films} films of {known.patients}\n"
        f"validation patients. Findings without one: {without}.\n"
    )
    if (claim := known.normal) is not None:
        held = "" if claim.held_out is None else f", and {_percent(claim.held_out)} of the held-out ones"
        yield (
            f"Normal's operating point was chosen for a miss rate of at most {claim.most:.0%}: {_percent(claim.missed)} of the\n"
            f"validation films with a listed finding lie above it{held}.\n"
        )


def _percent(share: Interval) -> str:
    return f"{share.value:.1%} ({share.low:.1%}–{share.high:.1%})"


def _member(name: str, manifest: Manifest) -> Iterator[str]:
    trained = manifest.trained_on
    yield f"## {name}\n"
    facts = {
        "trained on": f"{_count(trained.images)} films of {_count(trained.patients)} patients of {trained.dataset}",
        "pre-training": trained.pretraining or "none",
        "teachers": ", ".join(trained.teachers) or "none",
        "licence of the films": trained.image_licence,
        "licence of the labels": trained.label_licence,
        "sources of the labels": ", ".join(trained.label_sources) or None,
        "cite": trained.citation,
        "commit": trained.commit and f"`{trained.commit}`",
        "command": trained.command and f"`{trained.command}`",
        "input": f"{manifest.input.width} × {manifest.input.height}, {manifest.input.crop} film",
        "warnings": "; ".join(manifest.warnings) or "none",
    }
    yield "| | |\n|---|---|"
    yield from (f"| {key} | {_cell(value or 'not stated')} |" for key, value in facts.items())
    yield ""
    assessed = [output for output in manifest.outputs if output.assessed]
    yield "| finding | positive training patients | AUROC | reference prevalence |\n|---|---|---|---|"
    for one in assessed:
        share = "not stated" if one.prevalence is None else f"{one.prevalence:.2%}"
        yield f"| {one.name} | {_count(one.positives)} | {_interval(one.auroc)} | {share} |"
    yield "\nOperating points, chosen on the validation patients:\n"
    yield from _points({one.name: one.operating_points for one in assessed})
    left_out = [output for output in manifest.outputs if not output.assessed]
    if left_out:
        yield f"Not assessed: {'; '.join(f'{one.name} ({one.reason})' for one in left_out)}.\n"


def _points(points: Mapping[str, Mapping[str, OperatingPoint]]) -> Iterator[str]:
    yield f"| finding | {' | '.join(f'`{policy}`' for policy in POLICIES)} |"
    yield "|---" * (len(POLICIES) + 1) + "|"
    for name, by_policy in points.items():
        yield f"| {name} | {' | '.join(_point(by_policy.get(policy)) for policy in POLICIES)} |"
    yield "\nIn each cell: confidence, sensitivity / specificity.\n"


def _point(point: OperatingPoint | None) -> str:
    if point is None:
        return ""
    if point.sensitivity is None or point.specificity is None:
        return f"{point.threshold:.1f}"
    return f"{point.threshold:.1f}, {point.sensitivity:.2f} / {point.specificity:.2f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _count(number: int | None) -> str:
    return "not stated" if number is None else f"{number:,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def readme_parts(folder: Path) -> dict[str, str]:
    """Return the parts of README.md that are written from the bundles, by the name of their marker."""
    members, record = manifests(folder), registry.load_ensemble(folder)
    if not members:
        none = "There are no weights in this tree; `hilum train` makes them (`docs/how-to/train.md`)."
        return {"answer": none, "figures": none}
    return {
        "answer": f"```json\n{_json(shortened_answer())}\n```",
        "figures": f"{auroc_table(members, record)}{_gains(record)}",
    }


def _gains(record: EnsembleRecord | None) -> str:
    """Return README's sentence on the ensemble beside its members; nothing where it was not measured."""
    gains = {name.removeprefix("gain over "): gain for name, gain in record.figures.items()} if record else {}
    said = [
        f"{name.partition(' (')[0]} {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        for name, gain in gains.items()
        if name != "mean_auroc"
    ]
    return f"\nEnsemble minus member, mean AUROC over what the member assesses: {', '.join(said)}." if said else ""


def shortened_answer() -> dict[str, Any]:
    """Return the HTTP answer for an example film, with one entry of each list and the first fields of the details."""
    answer = ml_analysis(pipeline.analyze(read_image(FILM), pipeline.open_engine(threads=1)))
    for key in ("densenet_result", "mobilenet_result", "custom_result"):
        if answer[key] is not None:
            answer[key]["predictions"] = answer[key]["predictions"][:1]
    details = answer["details"]
    answer["details"] = {key: details[key] for key in ("accepted", "level", "not_assessed")}
    answer["details"]["findings"] = details["findings"][:1]
    return {"result": "<!doctype html>…", "analysis": answer}


def _json(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for each field of the answer, of the analysis and of its details."""
    pad = "  " * (depth + 1)
    if isinstance(value, dict) and (depth < 2 or "findings" in value):
        items = [f"{pad}{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + pad[2:] + "}"
    return json.dumps(value, ensure_ascii=False)


def put(text: str, parts: Mapping[str, str]) -> str:
    """Return ``text`` with each part between its markers."""
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by docs/make_models.py -->\n", f"<!-- end of {name} -->"
        before, after = text.index(begin) + len(begin), text.index(end)
        text = f"{text[:before]}{part}\n{text[after:]}"
    return text


if __name__ == "__main__":
    bundles = registry.shipped_folder()
    PAGE.write_text(models_page(bundles), encoding="utf-8")
    README.write_text(put(README.read_text(encoding="utf-8"), readme_parts(bundles)), encoding="utf-8")
