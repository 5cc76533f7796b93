"""``hilum datasets``: describe, split, leaks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.datasets.split import read_patients
from tiny_chexpert import HEADER, TRAIN, make

LABELS = """file,patient_id,view,age,sex,split,label_source,licence,Edema,Effusion
a.png,P1,PA,50,F,train,readers,CC0,1,-1
b.png,P1,AP,51,F,train,readers,CC0,0,
c.png,P2,PA,,M,test,readers,CC0,1,0
none.png,P3,,,,test,readers,CC0,0,1
"""


def write_film(path: Path, seed: int, change: int = 0) -> None:
    """Write a smooth film of its own, or with a change that one does not see."""
    coarse = np.random.default_rng(seed).uniform(40, 215, (8, 8))
    film = Image.fromarray(coarse.astype(np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)
    Image.fromarray(np.asarray(film) + np.uint8(change)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain data set of four films, one of which is not there."""
    root = tmp_path / "films"
    root.mkdir()
    (root / "labels.csv").write_text(LABELS)
    for seed, name in enumerate("abc"):
        write_film(root / f"{name}.png", seed)
    return root


def test_describe_counts_everything(hilum, folder):
    """Films, patients, views, label sources, and each finding's four kinds of labels, as JSON."""
    counts = json.loads(hilum("datasets", "describe", folder, "--json").out)
    assert (counts["layout"], counts["films"], counts["patients"], counts["not_there"]) == ("csv", 4, 3, 1)
    assert counts["views"] == {"PA": 2, "AP": 1, "": 1}
    assert counts["age"] == [50, 51, 51]
    assert counts["splits"] == {"train": 2, "test": 2}
    assert counts["image_licences"] == {"CC0": 4}
    assert counts["findings"]["Edema"] == {"present": 2, "absent": 2, "uncertain": 0, "unknown": 0, "patients": 2}
    assert counts["findings"]["Effusion"] == {"present": 1, "absent": 1, "uncertain": 1, "unknown": 1, "patients": 1}
    assert set(counts["findings"]) == {"Edema", "Effusion"}


def test_describe_as_text(hilum, folder):
    """The same in words; what is not there is said."""
    done = hilum("datasets", "describe", folder)
    for said in (
        "4 films, 3 patients",
        "PA 2, AP 1, unknown 1",
        "50 to 51",
        "1 films are listed and not there",
        "Effusion",
    ):
        assert said in done.out


def test_describe_names_what_was_dropped(hilum, tmp_path):
    """A publisher's labels that have no counterpart are named."""
    done = hilum("datasets", "describe", make(tmp_path / "chexpert", train=HEADER + TRAIN))
    assert "left out: Enlarged Cardiomediastinum, Pleural Other, Support Devices" in done.out


def test_describe_refuses_another_layout(hilum, tmp_path):
    """What matches no layout, or not the one that is named, ends with exit code 2 and what was found."""
    unknown = hilum("datasets", "describe", tmp_path)
    assert (unknown.code, "0 folders, 0 CSV files" in unknown.err) == (2, True)
    assert "There is no Data_Entry_2017" in hilum("datasets", "describe", tmp_path, "--layout", "nih").err


def test_split_writes_a_file_once(hilum, folder, tmp_path):
    """A share of the patients is split off and shown beside the rest; the file is never overwritten."""
    done = hilum("datasets", "split", folder, "--fraction", "0.34", "--out", tmp_path / "new" / "holdout.csv")
    assert done.code == 0
    assert "the rest" in done.out
    assert len(read_patients(tmp_path / "new" / "holdout.csv")) == 1
    again = hilum("datasets", "split", folder, "--fraction", "0.5", "--out", tmp_path / "new" / "holdout.csv")
    assert (again.code, "never overwritten" in again.err) == (2, True)


def test_folds_leave_out_whom_they_are_told_to(hilum, folder, tmp_path):
    """Each fold is a file of patients; patients of another split are in none."""
    (tmp_path / "holdout.csv").write_text("patient_id\nP1\n")
    done = hilum(
        "datasets", "split", folder, "--folds", 2, "--out", tmp_path / "folds", "--without", tmp_path / "holdout.csv"
    )
    assert done.code == 0
    dealt = [read_patients(tmp_path / "folds" / f"fold-{n}.csv") for n in (1, 2)]
    assert sorted(map(sorted, dealt)) == [["P2"], ["P3"]]


def test_a_part_of_the_publishers_split_can_be_split_again(hilum, folder, tmp_path):
    """Only patients of the part that is named are dealt; a part that there is not is refused."""
    done = hilum("datasets", "split", folder, "--split", "test", "--folds", 2, "--out", tmp_path / "folds")
    assert done.code == 0
    assert read_patients(tmp_path / "folds" / "fold-1.csv") <= {"P2", "P3"}
    none = hilum("datasets", "split", folder, "--split", "later", "--folds", 2, "--out", tmp_path / "more")
    assert (none.code, "no such part" in none.err) == (2, True)


@pytest.mark.parametrize("options", [(), ("--fraction", "0.5", "--folds", "2")])
def test_split_needs_one_way(hilum, folder, options):
    """Neither or both of --fraction and --folds is refused."""
    assert "either --fraction or --folds" in hilum("datasets", "split", folder, "--out", "x", *options).err


def test_leaks_between_the_official_sides(hilum, folder):
    """A clean split ends with 0; films that can't be read are counted."""
    done = hilum("datasets", "leaks", folder, "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "films": 3,
        "unreadable": 1,
        "pairs": [{"sides": ["test", "train"], "patients": [], "same_pixels": [], "near_duplicates": []}],
    }


def test_leaks_are_found_and_shown(hilum, folder, tmp_path):
    """A patient, a film and nearly the same film on two sides are named, and the exit code is 1."""
    write_film(folder / "c.png", 0)
    write_film(folder / "none.png", 1, change=2)
    (tmp_path / "one.csv").write_text("patient_id\nP1\n")
    (tmp_path / "other.csv").write_text("patient_id\nP1\nP2\n")
    done = hilum("datasets", "leaks", folder, "--patients", tmp_path / "one.csv", "--patients", tmp_path / "other.csv")
    assert done.code == 1
    assert "patients on both: P1" in done.out
    assert "near-duplicates: b.png and none.png" in done.out
    both = hilum("datasets", "leaks", folder, "--patients", tmp_path / "one.csv", "--json")
    (pair,) = json.loads(both.out)["pairs"]
    assert pair == {
        "sides": ["one.csv", "the rest"],
        "patients": [],
        "same_pixels": [["a.png", "c.png"]],
        "near_duplicates": [["b.png", "none.png"]],
    }


def test_leaks_need_two_sides(hilum, folder, tmp_path):
    """Without an official split, or with one side twice, the command says what it needs."""
    (folder / "labels.csv").write_text(LABELS.replace("train", "").replace("test", ""))
    assert "no official split" in hilum("datasets", "leaks", folder).err
    (tmp_path / "one.csv").write_text("patient_id\nP1\n")
    twice = hilum("datasets", "leaks", folder, "--patients", tmp_path / "one.csv", "--patients", tmp_path / "one.csv")
    assert "same name" in twice.err
