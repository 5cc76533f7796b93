"""torchxrayvision itself beside our conversion of its networks, to 1e-4."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.calibrate import sigmoid
from hilum.exchange.catalogue import CATALOGUE, PublicWeights
from hilum.exchange.library import read_entry
from hilum.exchange.public import INPUT, NOT_TRAINED, bundle_parts
from hilum.exchange.torch_file import read_torch_file
from hilum.findings import OUTPUTS, canonical
from hilum.graph import read_head
from hilum.normalise import resample, scale_pixels
from hilum.registry import Bundle, save_bundle
from hilum.runtime import open_session
from lookalike import ENTRIES, unsettle
from settled import pictures

# The library silences warnings as it is imported; its own dependencies warn before that.
pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def xrv() -> Any:
    """The library; nothing of it is fetched."""
    import torchxrayvision  # only the environment of the extras has it

    return torchxrayvision


def saved_bundle(chosen: PublicWeights, network: torch.nn.Module, folder: Path, zipped: bool = True) -> Bundle:
    """Save a whole network as the library's authors did, read it as data and return its bundle."""
    buffer = io.BytesIO()
    torch.save(network, buffer, _use_new_zipfile_serialization=zipped)
    entry = read_entry(chosen.entry)
    manifest, files = bundle_parts(chosen, entry, read_torch_file(buffer.getvalue()), "0" * 64)
    return save_bundle(folder / manifest.id, manifest, files)


@pytest.mark.parametrize("zipped", [True, False])
def test_its_own_network_and_ours_agree(xrv: Any, tmp_path: Path, zipped: bool) -> None:
    """Logits, scores and pooled features of the library's DenseNet with seeded weights are the bundle's within 1e-4."""
    torch.manual_seed(0)
    theirs = unsettle(xrv.models.DenseNet(num_classes=18, in_channels=1))
    bundle = saved_bundle(CATALOGUE["all"], theirs, tmp_path, zipped)
    x = 500 * pictures(3, 1, 224, 1)
    with torch.no_grad():
        expected, pooled = theirs(torch.from_numpy(x)).numpy(), theirs.features2(torch.from_numpy(x)).numpy()
    logits, features = open_session(bundle.model).evaluate(x, "logits", "features")
    assert np.ptp(1 / (1 + np.exp(-expected)), axis=0).max() > 0.01
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(sigmoid(logits), 1 / (1 + np.exp(-expected)), atol=1e-4)
    np.testing.assert_allclose(features.mean((2, 3)), pooled, atol=1e-4, rtol=1e-4)
    assert read_head(bundle.model) is not None


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_of_the_catalogue_is_in_the_library(xrv: Any, tmp_path: Path, name: Any) -> None:
    """Addresses, labels and thresholds are the library's; what is assessed is a finding here and has a threshold."""
    chosen = CATALOGUE[name]
    entry, given = read_entry(chosen.entry), xrv.models.model_urls[chosen.entry]
    assert entry.address == given["weights_url"]
    assert entry.address.startswith("https://")
    torch.manual_seed(1)
    bundle = saved_bundle(chosen, unsettle(xrv.models.DenseNet(num_classes=18, in_channels=1)), tmp_path)
    for output, label, cut in zip(bundle.manifest.outputs, given["labels"], given["op_threshs"], strict=True):
        if output.assessed:
            assert output.name == canonical(label)
            assert output.name in OUTPUTS
            assert output.operating_points["youden"].threshold == pytest.approx(100 * cut)
        else:
            assert (output.reason == NOT_TRAINED) == (label == "")
    # The stand-in of the plain tests has the library's labels.
    assert ENTRIES[chosen.entry]["labels"] == given["labels"]


def test_a_threshold_decides_as_in_the_library(xrv: Any) -> None:
    """A score at or above our threshold is one that the library moves to 0.5 or more."""
    entry = read_entry(CATALOGUE["nih"].entry)
    cuts = torch.tensor(xrv.models.model_urls[CATALOGUE["nih"].entry]["op_threshs"])
    scores = torch.rand(200, 18, generator=torch.Generator().manual_seed(0)) ** 6
    moved = xrv.models.op_norm(scores, cuts)
    for index, cut in enumerate(entry.thresholds):
        if cut is not None:
            assert ((scores[:, index] >= cut) == (moved[:, index] >= 0.5)).all()


def test_a_film_reaches_the_network_as_in_the_library(xrv: Any) -> None:
    """Scaling and crop are the library's own; the resampling filters differ by a little."""
    y, x = np.mgrid[0 : 1 : 500 * 1j, 0 : 1 : 400 * 1j]
    film = np.rint(255 * (0.5 + 0.3 * np.sin(5 * y) + 0.2 * np.cos(4 * x))).astype(np.uint8)
    given = xrv.utils.normalize(film, 255)[None]
    theirs = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(given))
    ours = scale_pixels(resample(film.astype(np.float32) / 255, INPUT), INPUT)
    assert ours.shape == theirs.shape
    # It takes what lies beyond the edge for 0, which reaches two pixels in.
    assert np.abs(ours - theirs)[:, 2:-2, 2:-2].max() < 5
