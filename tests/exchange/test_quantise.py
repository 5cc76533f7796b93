"""A member in 8 bits: made, measured, kept only where it holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from onnx import numpy_helper

from hilum import registry
from hilum.cli.signing import verify
from hilum.datasets.plain import read_table
from hilum.datasets.split import read_patients
from hilum.errors import ConfigError, DatasetError, HashMismatch, Incompatible
from hilum.exchange import quantise as room
from hilum.exchange.int8 import to_int8
from hilum.exchange.quantise import quantise
from hilum.graph import read_head, with_weights, without_weights
from hilum.keras_h5 import bundle_from_h5, bundle_to_h5
from hilum.pipeline import analyze, open_bundles
from hilum.records import EnsembleRecord
from hilum.registry import Bundle, bundle_files, in_precision, load_bundle, load_ensemble, save_bundle, save_ensemble
from hilum.runtime import open_session
from made import labelled_films
from tiny import SIDE, tiny_graph, tiny_manifest, write_tiny


@pytest.fixture
def tables(tmp_path):
    """The training films and the validation films."""
    films = labelled_films(tmp_path)
    table = read_table(films / "table.csv")
    return table.of_patients(read_patients(films / "holdout.csv")), table.of_patients(
        read_patients(films / "validation.csv")
    )


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    """A tiny member that assesses two of its three outputs."""
    return write_tiny(tmp_path / "models", tiny_manifest("ResNet50", None, ("Edema", "Effusion", "Fracture")))


def test_eight_bits_give_nearly_the_same() -> None:
    """Logits and features are close to float32's, and the head is there to make heat maps from."""
    rng = np.random.default_rng(1)
    films = [rng.normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(8)]
    exact, coarse = tiny_graph(5), to_int8(tiny_graph(5), films)
    one, other = (open_session(model).run(films[0]) for model in (exact, coarse))
    assert 0 < np.abs(one.logits - other.logits).max() < 0.1
    np.testing.assert_allclose(one.features, other.features, atol=0.2)
    head, expected = read_head(coarse), read_head(exact)
    assert head is not None
    assert expected is not None
    for (weight, _), (known, _) in zip(head.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(weight, known)


def test_the_first_convolutions_may_stay_exact(bundle, tables, monkeypatch) -> None:
    """Where all in 8 bits lose too much, the first convolutions stay in float32; the manifest says how many."""

    def spoilt(model: bytes, films: Any, exact_convolutions: int) -> bytes:
        return to_int8(model if exact_convolutions else tiny_graph(3, seed=9), films, exact_convolutions)

    monkeypatch.setattr(room, "to_int8", spoilt)
    monkeypatch.setattr(room, "MAX_LOSS", 1)
    made = quantise(bundle, *tables, films=4)
    assert made.manifest.int8 is not None
    assert made.manifest.int8.exact_convolutions == 6


def test_exact_convolutions_are_closer() -> None:
    """A convolution that stays exact has no rounded weights, and what the others lose is all that is lost."""
    rng = np.random.default_rng(1)
    films = [rng.normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(8)]
    exact = open_session(tiny_graph(5)).run(films[0]).logits
    graphs = [to_int8(tiny_graph(5), films, kept) for kept in (0, 1)]
    names = [[one.name for one in onnx.load_model_from_string(graph).graph.initializer] for graph in graphs]
    assert ["kernel_quantized" in given for given in names] == [True, False]
    lost = [np.abs(open_session(graph).run(films[0]).logits - exact).max() for graph in graphs]
    assert lost[1] < lost[0]
    small = without_weights(graphs[1], tiny_graph(5))
    np.testing.assert_array_equal(
        *(open_session(graph).run(films[0]).logits for graph in (graphs[1], with_weights(small, tiny_graph(5))))
    )


def test_weights_in_eight_bits_follow_from_the_exact_ones() -> None:
    """Left out, they make the file smaller; the exact ones give them back to the last bit, those of another network do not."""
    rng = np.random.default_rng(1)
    films = [rng.normal(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(2)]
    exact = tiny_graph(5, hidden=16)
    whole = to_int8(exact, films)
    small = without_weights(whole, exact)
    assert len(small) < 0.7 * len(whole)
    again = with_weights(small, exact)
    for known, made in zip(
        *(onnx.load_model_from_string(one).graph.initializer for one in (whole, again)), strict=True
    ):
        np.testing.assert_array_equal(numpy_helper.to_array(known), numpy_helper.to_array(made))
    assert np.array_equal(*(open_session(one).run(films[0]).logits for one in (whole, again)))
    with pytest.raises(Incompatible, match="lacks the weights"):
        with_weights(small, tiny_graph(5, hidden=20))


def test_the_bundle_gets_network_golden_answers_and_figures(bundle, tables, film) -> None:
    """Both files are there by hash, the losses by output stand in the manifest, and only int8 computes with them."""
    made = quantise(bundle, *tables, films=6, command="made so")
    figures = made.manifest.int8
    assert figures is not None
    assert {"model.int8.onnx", "golden.int8.npz"} <= set(made.manifest.files)
    assert (figures.calibration_films, figures.films, figures.patients, figures.command) == (6, 12, 6, "made so")
    assert set(figures.auroc_loss) == {"Edema", "Effusion"}
    assert figures.mean_auroc_loss.value == pytest.approx(np.mean(list(figures.auroc_loss.values())), abs=1e-4)
    assert figures.heatmap_correlation > 0.9
    exact, coarse = open_bundles([made], threads=1), open_bundles([made], threads=1, precision="int8")
    assert [one.provenance.models[0].precision for one in (exact, coarse)] == ["fp32", "int8"]
    first, second = (analyze(film, engine).findings[0].confidence for engine in (exact, coarse))
    assert first != second
    assert first == pytest.approx(second, abs=3)


def test_the_ensemble_is_told(bundle, tables) -> None:
    """The record beside the bundle names its new hash: what was measured of float32 still holds."""
    folder = bundle.folder.parent
    save_ensemble(folder, EnsembleRecord({bundle.manifest.id: bundle.sha256}, {}, {}))
    made = quantise(bundle, *tables, films=4)
    assert load_ensemble(folder).members == {bundle.manifest.id: made.sha256}


@pytest.mark.parametrize(
    ("limit", "value", "said"), [("MAX_LOSS", -1, "mean AUROC"), ("MIN_CORRELATION", 2, "heat maps")]
)
def test_what_loses_too_much_is_not_written(bundle, tables, monkeypatch, limit, value, said) -> None:
    """A loss beyond the rule is an error that names it, and the bundle stays as it was."""
    monkeypatch.setattr(room, limit, value)
    with pytest.raises(Incompatible, match=said):
        quantise(bundle, *tables, films=4)
    assert load_bundle(bundle.folder).sha256 == bundle.sha256
    assert not (bundle.folder / "model.int8.onnx").exists()


def test_the_member_that_the_gate_reads_stays_exact(bundle, tables) -> None:
    """The gate's limits are those of exact features: such a member is not quantised, nor opened in 8 bits."""
    made = quantise(bundle, *tables, films=4)
    files = {name: (made.folder / name).read_bytes() for name in made.manifest.files}
    both = save_bundle(made.folder, made.manifest, files | {"gate.npz": b"made up"})
    assert in_precision(both, "int8").precision == "fp32"
    with pytest.raises(ConfigError, match="gate"):
        quantise(both, *tables, films=4)


def test_what_can_not_be_quantised_is_said(bundle, tables, tmp_path) -> None:
    """A Keras file has no place for a second network; without films or labels nothing can be measured."""
    calibration, validation = tables
    file = tmp_path / "densenet_chexpert.h5"
    file.write_bytes(bundle_to_h5(bundle))
    with pytest.raises((ConfigError, Incompatible)):
        quantise(bundle_from_h5(file), calibration, validation, films=4)
    with pytest.raises(DatasetError, match="ranges"):
        quantise(bundle, calibration.where(lambda row: False), validation, films=4)
    with pytest.raises(DatasetError, match="validation patients"):
        quantise(bundle, calibration, validation.where(lambda row: row.labels["Effusion"] == 1), films=4)


def test_a_member_without_maps_has_no_correlation(tmp_path, tables) -> None:
    """Where the head can't be read there is no heat map to compare."""
    manifest = tiny_manifest("ResNet50", None, ("Edema", "Effusion"))
    plain = write_tiny(tmp_path / "models", manifest, pooled=False)
    assert quantise(plain, *tables, films=4).manifest.int8.heatmap_correlation is None


def test_network_and_figures_come_together(bundle, tables) -> None:
    """A changed byte is found; figures without a network are refused, and so is a network without figures."""
    made = quantise(bundle, *tables, films=4)
    manifest = Path(made.folder / "manifest.json")
    whole = manifest.read_text()
    content = json.loads(whole)
    content["int8"] = None
    manifest.write_text(json.dumps(content))
    with pytest.raises(Incompatible, match=r"model\.int8\.onnx"):
        load_bundle(made.folder)
    manifest.write_text(whole)
    path = made.folder / "model.int8.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(HashMismatch, match="int8"):
        load_bundle(made.folder)


def test_verify_looks_at_both_precisions(bundle, tables, monkeypatch, capsys) -> None:
    """Golden answers in 8 bits are checked too: those of another network are found."""
    made = quantise(bundle, *tables, films=4)
    folder = made.folder.parent
    monkeypatch.setattr(registry, "shipped_folder", lambda: folder)
    with pytest.raises(typer.Exit) as ended:
        verify(folder)
    assert ended.value.exit_code == 0
    assert "fp32, int8" in capsys.readouterr().out
    with np.load(made.folder / "golden.int8.npz") as golden:
        pixels, logits = golden["pixels"], golden["logits"]
    buffer = io.BytesIO()
    np.savez(buffer, pixels=pixels, logits=logits + 1)
    save_bundle(made.folder, made.manifest, bundle_files(made) | {"golden.int8.npz": buffer.getvalue()})
    with pytest.raises(typer.Exit) as ended:
        verify(folder)
    assert ended.value.exit_code == 1
    assert "golden answers in int8" in " ".join(capsys.readouterr().out.split())
