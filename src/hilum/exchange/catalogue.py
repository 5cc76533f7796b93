"""The public weights that can be had: what they learnt from, under which terms, and what to cite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hilum.records import TrainedOn

Choice = Literal["chex", "mimic", "nih", "pc", "all"]

WEIGHTS_LICENCE = "torchxrayvision (xrv.models) is Apache-2.0; its authors state no other terms for the weights"
_COHEN = (
    "Cohen et al. 2022, TorchXRayVision: A library of chest X-ray datasets and models, MIDL; "
    "Cohen et al. 2020, On the limits of cross-domain generalization in automated X-ray prediction, MIDL"
)
_CHEXPERT = (
    "Irvin et al. 2019, CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison, AAAI"
)
_MIMIC = "Johnson et al. 2019, MIMIC-CXR, a de-identified publicly available database of chest radiographs, Scientific Data 6:317"
_NIH = "Wang et al. 2017, ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR"
_PADCHEST = "Bustos et al. 2020, PadChest: A large chest x-ray image dataset with multi-label annotated reports, Med Image Anal 66"

_STANFORD = "Stanford University Dataset Research Use Agreement: research, not commercial"
_PHYSIONET = "PhysioNet Credentialed Health Data License: research, by people with credentials"
_NIHCC = "NIH Clinical Center: free use with attribution"
_BIMCV = "PadChest Dataset Research Use Agreement: research, not commercial"


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """One of torchxrayvision's DenseNet121 networks."""

    entry: str
    """Its name in that library."""
    id: str
    """The bundle's."""
    trained_on: TrainedOn


def _public(entry: str, name: str, dataset: str, terms: str, labels: tuple[str, ...], cite: str) -> PublicWeights:
    trained = TrainedOn(
        dataset, image_licence=terms, label_licence=terms, label_sources=labels, citation=f"{_COHEN}; {cite}"
    )
    return PublicWeights(f"densenet121-res224-{entry}", f"xrv-densenet121-{name}", trained)


CATALOGUE: Mapping[Choice, PublicWeights] = {
    "chex": _public("chex", "chex", "CheXpert", _STANFORD, ("CheXpert's labeller (reports)",), _CHEXPERT),
    "mimic": _public("mimic_ch", "mimic", "MIMIC-CXR", _PHYSIONET, ("CheXpert's labeller (reports)",), _MIMIC),
    "nih": _public("nih", "nih", "NIH ChestX-ray14", _NIHCC, ("NIH's labels (reports)",), _NIH),
    "pc": _public("pc", "pc", "PadChest", _BIMCV, ("PadChest's labels (reports, part read by physicians)",), _PADCHEST),
    "all": _public(
        "all",
        "all",
        "NIH, PadChest, CheXpert, MIMIC-CXR, Google, OpenI and RSNA films",
        f"the strictest of its parts: {_STANFORD}; {_PHYSIONET}; {_BIMCV}",
        ("each data set's own",),
        "; ".join((_NIH, _PADCHEST, _CHEXPERT, _MIMIC)),
    ),
}
"""By the name that people give; ``mimic`` is the network that learnt from the labels of CheXpert's labeller."""
