"""CheXpert in small: files of its exact format, and empty films where they name them."""

from __future__ import annotations

from pathlib import Path

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n"
)
TRAIN = (
    "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n"
    "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n"
    "CheXpert-v1.0-small/train/patient00002/study2/view2_lateral.jpg,Female,87,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n"
    "CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,Unknown,0,Frontal,AP,,,,,,,,,,,,1.0,,\n"
    "CheXpert-v1.0-small/train/patient00004/study1/view1_frontal.jpg,Male,41,Frontal,AP,,,,,,,,,,,,,,1.0\n"
)
VALID = (
    "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,"
    "0.0,0.0,0.0\n"
)
TEST = "Path,No Finding,Enlarged Cardiomediastinum,Cardiomegaly\ntest/patient64741/study1/view1_frontal.jpg,0,0,1\n"


def make(folder: Path, without: str = "nothing", **files: str) -> Path:
    """Write the files given, and an empty film wherever one lists a path that does not have ``without`` in it."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        for line in text.splitlines()[1:]:
            film = folder / line.split(",")[0].removeprefix("CheXpert-v1.0-small/").removeprefix("CheXpert-v1.0/")
            if without not in str(film):
                film.parent.mkdir(parents=True, exist_ok=True)
                film.touch()
    return folder
