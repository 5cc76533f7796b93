"""Teaching the gate: spoiled films, the fit, and the bundle that carries it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import film_pixels
from hilum import cli
from hilum.appearance import from_npz, look, measure
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.registry import load_bundle
from hilum.training.appearance import fit_appearance
from hilum.training.gate import fit_gate, read_pictures
from hilum.training.spoil import SPOILERS


@pytest.mark.parametrize("kind", sorted(SPOILERS))
def test_a_spoiled_film_is_a_picture_and_another_one(kind):
    """Every spoiler gives float32 of 0 to 1 that differs from the film, which stays as it was."""
    grain = np.random.default_rng(2).normal(0, 0.05, (90, 80))
    film = np.clip(film_pixels(90, 80) + grain, 0, 1).astype(np.float32)
    before = film.copy()
    spoiled = SPOILERS[kind](film, np.random.default_rng(1))
    assert (film == before).all()
    assert spoiled.dtype == np.float32
    assert 0 <= spoiled.min() <= spoiled.max() <= 1
    assert spoiled.shape != film.shape or np.abs(spoiled - film).max() > 0.01


def clouds(count: int, seed: int) -> np.ndarray:
    """Return count features (5,) for each of three kinds, well apart."""
    centres = np.array([[0, 0, 0, 0, 0], [4, 0, 0, 0, 0], [0, 4, 0, 0, 0]], dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.5, (3, count, 5))
    return (centres[:, None] + noise).reshape(-1, 5).astype(np.float32)


def test_the_fit_tells_kinds_apart_and_keeps_films():
    """Pictures of other kinds are none, nearly all films of other patients are, and those far from all lie beyond the limit."""
    kinds = ["film"] * 80 + ["photograph"] * 80 + ["cropped"] * 80
    checked = clouds(200, 2)[:200]
    appearance = fit_appearance(clouds(80, 1), kinds, checked)
    assert appearance.kinds == ("film", "cropped", "photograph")
    shares, distances = measure(checked, appearance)
    assert (shares[:, 0] >= appearance.film_limit).mean() >= 0.99
    assert (distances <= appearance.distance_limit).mean() >= 0.99
    assert measure(np.full((1, 5), -9, dtype=np.float32), appearance)[1][0] > 10 * appearance.distance_limit
    seen = look(clouds(1, 3)[1][:, None, None], np.zeros((64, 64), np.float32), appearance)
    assert (seen.kind, seen.is_film) == ("photograph", False)


def test_nothing_but_films_teaches_nothing():
    """Without another kind there is nothing to tell apart."""
    with pytest.raises(DatasetError, match="pictures of both"):
        fit_appearance(clouds(2, 1), ["film"] * 6, clouds(2, 2))


@pytest.fixture
def material(tmp_path, tiny_folder) -> Path:
    """Films, other pictures and their tables, and a copy of a tiny member."""
    rng = np.random.default_rng(3)
    rows, other = ["file,patient_id,source,Edema"], ["file,kind,source,split"]
    for number in range(12):
        film = np.clip(film_pixels(80, 70) + rng.normal(0, 0.02, (80, 70)), 0, 1)
        Image.fromarray((film * 255).astype("uint8")).save(tmp_path / f"film{number}.png")
        rows.append(f"film{number}.png,p{number},nih,0")
        noise = rng.integers(0, 255, (70, 70), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"other{number}.png")
        other.append(f"other{number}.png,photograph,noise,{'train' if number % 2 else 'test'}")
    (tmp_path / "films.csv").write_text("\n".join(rows))
    (tmp_path / "others.csv").write_text("\n".join(other))
    (tmp_path / "validation.csv").write_text("patient_id\np9\np10\n")
    (tmp_path / "holdout.csv").write_text("patient_id\np11\n")
    shutil.copytree(next(path for path in tiny_folder.iterdir() if path.is_dir()), tmp_path / "member")
    return tmp_path


def test_the_gate_goes_into_the_bundle(material, monkeypatch):
    """``hilum models gate`` writes the record into the member's bundle, which stays whole."""
    tables = (
        "--data",
        "films.csv",
        "--others",
        "others.csv",
        "--validation",
        "validation.csv",
        "--holdout",
        "holdout.csv",
    )
    monkeypatch.chdir(material)
    monkeypatch.setattr("sys.argv", ["hilum", "models", "gate", "member", *tables, "--spoiled", "3"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    bundle = load_bundle(material / "member")
    assert bundle.appearance is not None
    assert set(from_npz(bundle.appearance).kinds) == {"film", "photograph", *SPOILERS}
    assert "gate.npz" in bundle.manifest.files


def test_a_table_that_lacks_columns_is_refused(tmp_path):
    """The table of other pictures says what it lacks, or that it is not there."""
    (tmp_path / "others.csv").write_text("file,source\na.png,b\n")
    with pytest.raises(DatasetError, match="lacks kind, split"):
        read_pictures(tmp_path / "others.csv")
    with pytest.raises(DatasetError, match="does not exist"):
        read_pictures(tmp_path / "none.csv")


def test_a_member_without_a_folder_is_refused(tiny_engine):
    """A gate has to be written somewhere."""
    from dataclasses import replace

    bundle = replace(tiny_engine.members[0].bundle, folder=None)
    empty = Table(Path(), (Row(Path("a.png"), "p"),))
    with pytest.raises(DatasetError, match="not a bundle folder"):
        fit_gate(bundle, empty, empty, (), 1)
