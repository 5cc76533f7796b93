"""Members' answers and their mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum import calibrate, ensemble
from hilum.records import (
    Calibration,
    ConformalCuts,
    CrossLimit,
    EnsembleRecord,
    IntervalSteps,
    OperatingPoint,
    Output,
    Uncertainty,
)
from tiny import tiny_manifest


def member(name, logits, outputs, policy="youden", prevalence=None, slot=None, **changes):
    """Return one member's answer and manifest."""
    manifest = tiny_manifest(name, slot, (), outputs=tuple(outputs), **changes)
    answer = ensemble.member_result(manifest.name, manifest, np.array(logits, np.float32), policy, prevalence or {})
    return answer, manifest


def assessed(name, threshold=50.0, prevalence=0.1):
    """Return an output whose evidence is its logit."""
    points = {policy: OperatingPoint(threshold, 0.8, 0.7) for policy in ("youden", "rule_in")}
    return Output(name, True, None, 200, Calibration(1.0, 0.0), prevalence, points)


def combine(*members, policy="youden", prevalence=None, record=None):
    """Return the ensemble's findings by name."""
    results, manifests = zip(*members, strict=True)
    found = ensemble.combine(results, manifests, policy, prevalence or {}, record)
    return {finding.name: finding for finding in found}


def logit(confidence):
    """Return the evidence of a confidence."""
    return calibrate.evidence_of(confidence)


def test_confidence_is_the_mean_of_the_members():
    """82.3 and 74.7 give 78.5, with the spread between them, and evidence and probability follow from the mean."""
    found = combine(
        member("A", [logit(82.3)], [assessed("Pneumonia")]), member("B", [logit(74.7)], [assessed("Pneumonia")])
    )["Pneumonia"]
    assert round(found.confidence, 1) == 78.5
    assert found.spread == pytest.approx(7.6, abs=1e-4)
    assert found.evidence == pytest.approx(calibrate.evidence_of(found.confidence))
    assert found.probability == pytest.approx(calibrate.probability(found.evidence, 0.1))
    assert found.prevalence == 0.1
    assert list(found.members.values()) == pytest.approx([82.3, 74.7], abs=1e-3)


def test_one_member_has_no_spread():
    """The spread of a single member is unknown, never zero."""
    found = combine(member("A", [1.0], [assessed("Edema")]), member("B", [1.0], [assessed("Nodule")]))
    assert found["Edema"].spread is None
    assert found["Nodule"].spread is None


def test_what_nobody_assesses_is_absent_and_named():
    """A finding that no member assesses is not in the answer and is listed as not assessed; one that somebody does, is not."""
    unknown = Output("Fracture", False, "too few")
    first = member("A", [1.0, 3.0], [assessed("Edema"), unknown])
    second = member("B", [0.0, 5.0], [assessed("Nodule"), replace(unknown, name="Edema")])
    found = combine(first, second)
    assert set(found) == {"Edema", "Nodule"}
    assert found["Edema"].members.keys() == {first[1].name}
    assert ensemble.not_assessed([first[1], second[1]], tuple(found.values())) == ("Fracture",)
    assert first[0].not_assessed == ("Fracture",)


def test_findings_are_sorted_by_confidence_not_probability():
    """The commonest finding does not lead unless the film speaks for it most."""
    answer = member("A", [0.5, 1.0], [assessed("Infiltration", prevalence=0.5), assessed("Hernia", prevalence=0.001)])
    assert [finding.name for finding in answer[0].predictions] == ["Hernia", "Infiltration"]
    assert list(combine(answer)) == ["Hernia", "Infiltration"]


def test_site_prevalence_changes_probability_alone():
    """The site's own prevalence moves the probability of member and ensemble, not the confidence."""
    reference = member("A", [1.0], [assessed("Edema")])
    own = member("A", [1.0], [assessed("Edema")], prevalence={"Edema": 0.4})
    first, second = combine(reference)["Edema"], combine(own, prevalence={"Edema": 0.4})["Edema"]
    assert first.confidence == second.confidence
    assert second.prevalence == 0.4
    assert second.probability == pytest.approx(calibrate.probability(1.0, 0.4))
    assert own[0].predictions[0].probability == pytest.approx(second.probability)


def test_the_operating_point_is_inclusive():
    """A confidence exactly at its threshold counts as present."""
    answer, _ = member("A", [0.0], [assessed("Edema", threshold=50.0)])
    assert answer.predictions[0].positive is True
    assert combine(member("A", [0.0], [assessed("Edema", threshold=50.0)]))["Edema"].margin == pytest.approx(0)


def test_thresholds_of_the_measured_ensemble_are_used():
    """With a record of these members its cut, sensitivity and specificity stand; without, the mean cut and no promise."""
    pair = (member("A", [0.0], [assessed("Edema", 40.0)]), member("B", [0.0], [assessed("Edema", 70.0)]))
    plain = combine(*pair)["Edema"]
    assert (plain.threshold, plain.sensitivity, plain.specificity) == (55.0, None, None)
    record = EnsembleRecord({}, {"Edema": {"youden": OperatingPoint(45.0, 0.9, 0.6)}}, {})
    measured = combine(*pair, record=record)["Edema"]
    assert (measured.threshold, measured.sensitivity, measured.specificity) == (45.0, 0.9, 0.6)
    assert measured.positive is True
    assert plain.positive is False


def test_votes_weigh_a_members_answer():
    """Two votes count as two members that say the same; the spread stays."""
    (strong, manifest), other = member("A", [1.0], [assessed("Edema")]), member("B", [-1.0], [assessed("Edema")])
    found = combine((replace(strong, votes=2), manifest), other)["Edema"]
    one, two = (answer.predictions[0].confidence for answer in (strong, other[0]))
    assert found.confidence == pytest.approx((2 * one + two) / 3)
    assert found.spread == pytest.approx(one - two)


def test_what_was_fitted_of_the_ensemble_is_applied():
    """Evidence and probability pass through the ensemble's calibration, the set through its cuts; confidence stays the mean."""
    pair = (member("A", [1.0], [assessed("Edema")]), member("B", [2.0], [assessed("Edema")]))
    plain = combine(*pair)["Edema"]
    assert (plain.interval, plain.set) == (None, None)
    fitted = Uncertainty(
        100,
        80,
        0.9,
        evidence={"Edema": Calibration(1.5, 0.25)},
        intervals={"Edema": IntervalSteps((50.0,), (0.0, 0.3), (0.2, 0.6), 0.1)},
        sets={"Edema": ConformalCuts(30.0, 70.0, 40, 60)},
    )
    found = combine(*pair, record=EnsembleRecord({}, {}, {}, uncertainty=fitted))["Edema"]
    assert found.confidence == plain.confidence
    assert found.evidence == pytest.approx(1.5 * plain.evidence + 0.25)
    assert found.probability == pytest.approx(calibrate.probability(found.evidence, 0.1))
    assert found.interval == pytest.approx((0.3, 0.6))
    assert found.set == "present"
    rare = combine(*pair, prevalence={"Edema": 0.01}, record=EnsembleRecord({}, {}, {}, uncertainty=fitted))["Edema"]
    assert rare.interval[0] <= rare.probability <= rare.interval[1] < 0.2
    raw = combine(member("A", [2.0], [Output("Edema", True)]), record=EnsembleRecord({}, {}, {}, uncertainty=fitted))
    assert (raw["Edema"].interval, raw["Edema"].set, raw["Edema"].evidence) == (None, None, None)


def test_an_interval_holds_its_probability():
    """Where the smooth probability lies outside of the steps, the interval is widened to it."""
    steps = IntervalSteps((), (0.2,), (0.3,), 0.1)
    fitted = Uncertainty(100, 80, 0.9, intervals={"Edema": steps})
    record = EnsembleRecord({}, {}, {}, uncertainty=fitted)
    found = combine(member("A", [-2.0], [assessed("Edema")]), record=record)["Edema"]
    assert found.interval == pytest.approx((found.probability, 0.3))


def test_an_uncalibrated_member_promises_nothing():
    """Its confidence is its raw score × 100; evidence, probability and threshold are null, the ensemble's for that finding too."""
    raw = member("A", [2.0], [Output("Edema", True)])
    assert not raw[0].calibrated
    answer = raw[0].predictions[0]
    assert answer.confidence == pytest.approx(100 * answer.score)
    assert (answer.evidence, answer.probability, answer.threshold, answer.positive) == (None,) * 4
    mixed = combine(raw, member("B", [0.0], [assessed("Edema")]))["Edema"]
    assert mixed.confidence == pytest.approx((100 * answer.score + 50) / 2)
    assert (mixed.evidence, mixed.probability, mixed.prevalence, mixed.threshold, mixed.positive) == (None,) * 5


def test_an_uncalibrated_member_may_have_thresholds():
    """A publisher's cut on the raw score decides for that member, and for findings of raw scores alone; nothing is calibrated."""

    def raw(name, logit, cut):
        return member(
            name, [logit], [Output("Edema", True, operating_points={"youden": OperatingPoint(cut, None, None)})]
        )

    answer = raw("A", -3.0, 4.0)[0].predictions[0]
    assert (answer.threshold, answer.positive, answer.evidence, answer.probability) == (4.0, True, None, None)
    assert raw("A", -3.5, 4.0)[0].predictions[0].positive is False
    both = combine(raw("A", -3.0, 4.0), raw("B", -3.0, 5.0))["Edema"]
    assert (both.threshold, both.positive) == (4.5, True)
    assert (both.evidence, both.probability, both.sensitivity) == (None, None, None)
    mixed = combine(raw("A", -3.0, 4.0), member("B", [0.0], [assessed("Edema")]))["Edema"]
    assert (mixed.threshold, mixed.positive) == (None, None)
    other = member("A", [-3.0], [replace(raw("A", 0, 4.0)[1].outputs[0])], policy="rule_in")[0].predictions[0]
    assert (other.threshold, other.positive) == (None, None)


def test_softmax_scores_sum_to_one():
    """A member whose classes exclude each other gives softmax scores, also for huge logits."""
    answer, _ = member("A", [1000.0, 999.0], [Output("class_1", True), Output("class_2", True)], activation="softmax")
    assert sum(one.score for one in answer.predictions) == pytest.approx(1)


def test_members_outside_the_ensemble_answer_alone():
    """A member that stays out of the ensemble has its own answer and no part in the findings."""
    outside = member("A", [5.0], [Output("class_1", True)], in_ensemble=False)
    found = combine(outside, member("B", [0.0], [assessed("Edema")]))
    assert set(found) == {"Edema"}
    assert outside[0].predictions[0].name == "class_1"
    assert ensemble.not_assessed([outside[1]], ()) == ()


def test_normal_is_no_top_finding_and_its_conflict_is_shown():
    """Normal may lead a member's list, never the ensemble's; beside a finding above its cut the conflict is put in words."""
    answer = member("A", [3.0, 1.0, -2.0], [assessed("Normal"), assessed("Edema"), assessed("Nodule")])
    found = tuple(combine(answer).values())
    assert answer[0].predictions[0].name == "Normal"
    assert ensemble.top_finding(found).name == "Edema"
    (conflict,) = ensemble.conflicts(found)
    assert "Normal" in conflict
    assert "Edema" in conflict
    assert "Nodule" not in conflict
    assert ensemble.conflicts(found[1:]) == ()
    assert ensemble.top_finding(found[:1]) is None


def test_a_recommendation_needs_something_to_say():
    """Nothing present by its set and Normal not claimed: no recommendation. Without sets, as ever."""
    answer = member("A", [3.0, 1.0, -2.0], [assessed("Edema"), assessed("Nodule"), assessed("Normal")])
    plain = tuple(combine(answer).values())
    edema, nodule, normal = plain
    unsure = replace(edema, set="can't say")
    assert ensemble.can_say(plain)
    assert ensemble.can_say(())
    assert not ensemble.can_say((unsure, replace(nodule, set="absent"), normal))
    assert ensemble.can_say((unsure, replace(nodule, set="present"), normal))
    assert ensemble.can_say((unsure, nodule, replace(normal, positive=True)))
    assert not ensemble.can_say((unsure, nodule, replace(normal, positive=False, set="present")))


def test_the_verifier_contradicts_the_others():
    """Beyond its limit on a shared finding both figures are given; within it, elsewhere and without a record nothing is."""
    outputs = [assessed("Edema"), assessed("Nodule")]
    custom = member("C", [logit(20.0), logit(50.0)], outputs, slot="custom")
    others = [member(name, [logit(80.0), logit(52.0)], outputs) for name in "AB"]
    results = [custom[0], *(answer for answer, _ in others)]
    limits = {"Edema": CrossLimit(59.0, 400), "Nodule": CrossLimit(10.0, 400)}
    record = EnsembleRecord({}, {}, {}, uncertainty=Uncertainty(400, 300, 0.9, cross_check=limits))
    (found,) = ensemble.disagreements(results, record)
    assert (found.finding, found.model, found.limit) == ("Edema", custom[0].model, 59.0)
    assert (found.confidence, found.others) == pytest.approx((20.0, 80.0), abs=1e-3)
    wider = EnsembleRecord({}, {}, {}, uncertainty=Uncertainty(400, 300, 0.9, cross_check={"Edema": CrossLimit(61, 9)}))
    assert ensemble.disagreements(results, wider) == ()
    assert ensemble.disagreements(results, None) == ()
    assert ensemble.disagreements(results[1:], record) == ()
