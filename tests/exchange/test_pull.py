"""``hilum models pull``: from a server to a bundle that answers as the library's own network does."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

import lookalike
from hilum.errors import ConfigError, DownloadFailed, HashMismatch, Incompatible, UnsafeFile
from hilum.exchange.catalogue import CATALOGUE
from hilum.exchange.library import read_entry
from hilum.exchange.public import INPUT, NOT_TRAINED, bundle_parts, outputs, read_state
from hilum.exchange.pull import pull
from hilum.exchange.torch_file import read_torch_file
from hilum.explain import class_activation
from hilum.graph import read_head
from hilum.normalise import normalise
from hilum.pipeline import analyze, check_golden, open_engine
from hilum.records import Radiograph, Source
from hilum.registry import save_bundle
from hilum.report import to_dict
from hilum.runtime import open_session
from lookalike import saved
from settled import pictures


def ignore(done: int, total: int | None) -> None:
    pass


@pytest.fixture
def chex(library, site, public_file):
    """CheXpert's weights on the server: the catalogue's entry and the library's."""
    site.content = public_file
    return CATALOGUE["chex"], read_entry("densenet121-res224-chex")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, public_file):
    """CheXpert's weights as a bundle; not to be written to."""
    address = "https://weights.example/chex.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            lookalike, "model_urls", {name: e | {"weights_url": address} for name, e in lookalike.ENTRIES.items()}
        )
        patch.setitem(sys.modules, "torchxrayvision", ModuleType("torchxrayvision"))
        patch.setitem(sys.modules, "torchxrayvision.models", lookalike)
        entry = read_entry("densenet121-res224-chex")
        digest = hashlib.sha256(public_file).hexdigest()
        manifest, files = bundle_parts(CATALOGUE["chex"], entry, read_torch_file(public_file), digest)
    return save_bundle(tmp_path_factory.mktemp("models") / manifest.id, manifest, files)


def test_a_pulled_bundle_answers_as_the_library_does(bundle, public_network):
    """Logits and scores are within 1e-4 of the library's own network, and so is what the golden answers hold."""
    session = open_session(bundle.model)
    check_golden(bundle, session)
    x = 500 * pictures(3, 1, 224, 1)
    with torch.no_grad():
        expected = public_network(torch.from_numpy(x))
        scores = torch.sigmoid(expected).numpy()
    logits, features = session.evaluate(x, "logits", "features")
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, atol=1e-4)
    assert np.ptp(scores, axis=0).max() > 0.01
    assert features.shape == (3, 1024, 7, 7)


def test_heat_maps_come_from_its_features(bundle, public_network):
    """The linear head is readable, and Grad-CAM from it equals autograd through the library's network."""
    x = 500 * pictures(1, 1, 224, 1)
    features = torch.relu(public_network.features(torch.from_numpy(x))).detach().requires_grad_()
    logits = public_network.classifier(features.mean((2, 3)))
    maps = class_activation(open_session(bundle.model).run(x).features, read_head(bundle.model))
    for index in (0, 7):
        (gradient,) = torch.autograd.grad(logits[0, index], features, retain_graph=True)
        expected = torch.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1))[0].detach().numpy()
        np.testing.assert_allclose(maps[index], expected, atol=1e-4)


def test_the_film_reaches_it_as_the_library_prescribes():
    """The central square, 0–255 as (2 x / 255 − 1) × 1024, one channel."""
    pixels = np.tile(np.linspace(0, 1, 224, dtype=np.float32)[:, None], (1, 300))
    pixels[:, :38] = pixels[:, -38:] = 0.5
    x = normalise(Radiograph(pixels, Source("PNG", 300, 224, 8, "")), INPUT)
    assert x.shape == (1, 1, 224, 224)
    np.testing.assert_allclose(x[0, 0, :, 100], (2 * np.linspace(0, 255, 224) / 255 - 1) * 1024, atol=1)
    np.testing.assert_allclose(x[0, 0, :, 0], x[0, 0, :, 100], atol=1e-3)


def test_the_bundle_says_what_it_is(bundle, public_file):
    """Name, terms, source, hash, outputs and thresholds; uncalibrated, and outside the ensemble."""
    manifest = bundle.manifest
    assert manifest.name == "DenseNet121 (CheXpert-trained)"
    assert "Stanford" in manifest.trained_on.image_licence
    assert "Irvin" in manifest.trained_on.citation
    assert not manifest.in_ensemble
    assert manifest.warnings[0].startswith("uncalibrated")
    digest = hashlib.sha256(public_file).hexdigest()
    source = json.loads((bundle.folder / "source.json").read_text())
    assert (source["address"], source["sha256"]) == ("https://weights.example/chex.pt", digest)
    card = (bundle.folder / "card.md").read_text()
    assert all(part in card for part in (digest, "Nobody here trained", "not assessed", "research and education"))
    by_name = {output.name: output for output in manifest.outputs}
    assert by_name["Effusion"].operating_points["youden"].threshold == pytest.approx(8.0)
    assert by_name["Lesion"].assessed
    assert "Lung Lesion" not in by_name
    assert by_name["Hernia"].reason == NOT_TRAINED
    assert not by_name["Enlarged Cardiomediastinum"].assessed
    assert len(manifest.assessed) == 10


def test_names_are_ours_and_none_stands_twice(library):
    """For each network: our names, the untrained and the unknown not assessed; Mass and Lung Lesion both mean Lesion, once."""
    for chosen in CATALOGUE.values():
        entry = read_entry(chosen.entry)
        made = outputs(entry)
        assert len({output.name for output in made}) == 18
        for output, label in zip(made, entry.labels, strict=True):
            assert output.assessed or output.reason
            assert label or (output.reason == NOT_TRAINED and not output.operating_points)
    everything = {output.name: output for output in outputs(read_entry("densenet121-res224-all"))}
    assert everything["Lesion"].assessed
    assert everything["Lung Lesion"].reason == "means Lesion too, for which its output Mass answers"
    assert {"Pleural Thickening", "Opacity"} <= everything.keys()


def test_it_answers_in_an_analysis(bundle, tiny_models, film):
    """Beside the shipped members: raw scores, the library's thresholds, no evidence or probability, a heat map each."""
    analysis = to_dict(analyze(film, open_engine(bundle.folder.parent, threads=1)))
    (member,) = (one for one in analysis["members"] if one["model"] == "DenseNet121 (CheXpert-trained)")
    assert (member["calibrated"], member["in_ensemble"]) == (False, False)
    for one in member["predictions"]:
        assert (one["evidence"], one["probability"]) == (None, None)
        assert one["positive"] == (one["confidence"] >= one["threshold"])
        assert one["confidence"] == pytest.approx(100 * one["score"], rel=0.02, abs=0.01)
    assert all(member["model"] not in finding["members"] for finding in analysis["findings"])
    assert any(heatmap["model"] == member["model"] for heatmap in analysis["heatmaps"])


def test_the_first_hash_is_recorded_and_later_ones_must_agree(chex, tmp_path, site, public_network, library):
    """What was fetched first is pinned; another file from there is refused before it is read, unless its hash is given."""
    first = pull(*chex, tmp_path, None, ignore)
    assert not first.expected
    assert json.loads((first.bundle.folder / "source.json").read_text())["library"] == "torchxrayvision 1.5.7"
    pins = json.loads((tmp_path / "public-weights.json").read_text())
    assert pins == {site.address: first.sha256}
    with pytest.raises(ConfigError, match="there already"):
        pull(*chex, tmp_path, None, ignore)
    (tmp_path / first.bundle.manifest.id).rename(tmp_path / "kept-elsewhere")
    assert pull(*chex, tmp_path, None, ignore).expected
    (tmp_path / first.bundle.manifest.id).rename(tmp_path / "kept-elsewhere-too")
    site.content = saved(public_network, zipped=True)
    site.tag = '"second"'
    with pytest.raises(HashMismatch):
        pull(*chex, tmp_path, None, ignore)
    assert not (tmp_path / first.bundle.manifest.id).exists()
    assert pull(*chex, tmp_path, hashlib.sha256(site.content).hexdigest(), ignore).expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["kept-elsewhere", "kept-elsewhere-too", "public-weights.json", first.bundle.manifest.id]
    )


def test_what_breaks_leaves_no_bundle(chex, tmp_path, site, library):
    """Broken off, hostile, damaged or another network: a clear error, no bundle, no recorded hash."""
    site.break_after = 1000
    with pytest.raises(DownloadFailed):
        pull(*chex, tmp_path, None, ignore)
    site.break_after, site.content, site.tag = None, b"<html>sign in</html>", '"other"'
    with pytest.raises(Incompatible):
        pull(*chex, tmp_path, None, ignore)
    site.content = saved(library.DenseNet(3), zipped=True)
    with pytest.raises(Incompatible, match="DenseNet121 of 18 outputs"):
        pull(*chex, tmp_path, None, ignore)
    site.content = saved({"weight": print}, zipped=True)
    with pytest.raises(UnsafeFile):
        pull(*chex, tmp_path, None, ignore)
    assert list(tmp_path.iterdir()) == []


def test_weights_beside_those_of_the_network_are_refused(library, public_file):
    """A state with more than the network has is of another one."""
    state = read_torch_file(public_file) | {"features.more.weight": np.zeros(3, dtype=np.float32)}
    with pytest.raises(Incompatible, match=r"features\.more\.weight"):
        bundle_parts(CATALOGUE["all"], read_entry("densenet121-res224-all"), state, "0" * 64)


def test_another_answer_than_the_librarys_writes_nothing(library, public_file, monkeypatch):
    """A library whose network computes otherwise than ours is noticed at once."""
    monkeypatch.setattr(library.DenseLayer, "forward", lambda self, x: torch.cat([x, x[:, :32]], 1))
    with pytest.raises(Incompatible, match="Nothing is written"):
        bundle_parts(CATALOGUE["all"], read_entry("densenet121-res224-all"), read_torch_file(public_file), "0" * 64)


def test_an_unforeseen_library_is_refused(library, monkeypatch):
    """Another resolution or a missing threshold is named, not guessed around."""
    library.model_urls["densenet121-res224-nih"] |= {"input_resolution": 512}
    with pytest.raises(Incompatible, match="describes densenet121-res224-nih otherwise"):
        read_entry("densenet121-res224-nih")
    library.model_urls.pop("densenet121-res224-chex")
    with pytest.raises(Incompatible):
        read_entry("densenet121-res224-chex")


def test_without_the_library_the_extra_is_named(monkeypatch):
    """What is missing, and how to get it."""
    monkeypatch.setitem(sys.modules, "torchxrayvision.models", None)
    with pytest.raises(ConfigError, match=r"pip install 'hilum\[public\]'"):
        read_entry("densenet121-res224-nih")


def test_a_wrong_hash_of_the_user_and_broken_pins_are_named(chex, tmp_path):
    """Neither is passed over in silence, and nothing is fetched."""
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        pull(*chex, tmp_path, "abc", ignore)
    (tmp_path / "public-weights.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"public-weights\.json"):
        pull(*chex, tmp_path, None, ignore)


def test_a_threshold_is_optional(library):
    """An output that is trained but has no threshold is assessed without one."""
    entry = read_entry("densenet121-res224-all")
    made = outputs(replace(entry, thresholds=(None,) * 18))
    assert made[0].assessed
    assert not made[0].operating_points


def test_our_network_takes_the_state_by_name(public_file, public_network):
    """The state travels by torchvision's names, not by order."""
    state = read_torch_file(public_file)
    network = read_state(dict(reversed(list(state.items()))), 18)
    x = torch.linspace(-1024, 1024, 64 * 64).reshape(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), public_network(x), atol=1e-4, rtol=0)
