"""Which films of a table a command takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.cli.labelled import choose_films
from hilum.errors import DatasetError

LABELS = """file,patient_id,source,view,split,orig_width,Edema
a.png,P1,one,PA,train,1024,
b.png,P1,one,LATERAL,test,1024,1
c.png,P2,one,AP,test,1024,-1
d.png,P3,two,,test,256,0
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "some.csv").write_text("patient_id\nP2\n")
    return tmp_path


def chosen(*options: object, **named: object) -> str:
    return "".join(row.image.stem for row in choose_films(*options, **named).rows)


def test_options_choose_films_and_laterals_are_never_taken(data: Path) -> None:
    """Patients, sizes, sources and the publisher's split each narrow the choice."""
    assert chosen(data, None) == "acd"
    assert chosen(data, data / "some.csv") == "c"
    assert chosen(data, None, 1024) == "ac"
    assert chosen(data, None, source="tw") == "d"
    assert chosen(data, None, split="test") == "cd"
    with pytest.raises(DatasetError, match="--split"):
        choose_films(data, None, split="validation")


def test_unmentioned_findings_are_absent_when_asked(data: Path) -> None:
    """A blank becomes 0 by the policy; an uncertain label stays unknown."""
    assert [row.label("Edema") for row in choose_films(data, None).rows] == [None, None, 0]
    assert [row.label("Edema") for row in choose_films(data, None, unmentioned="zeros").rows] == [0, None, 0]
