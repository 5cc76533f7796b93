"""Boxes teach a network where to look: its maps, which are those that people are shown, move into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hilum import explain, graph
from hilum.datasets.table import Row, Table
from hilum.errors import ConfigError
from hilum.training.augment import augment_and_tell
from hilum.training.boxes import BoxMasks, activation, box_masks, outside_loss
from hilum.training.config import Augmentation
from hilum.training.fit import Films
from hilum.training.networks import Head, LinearHead
from small_training import FIT, bright_or_dark, run_to, same_weights, small_network

SIDE = 64


def boxed(films: Films, weight: float) -> Films:
    """Return films on each of which the first output's box is the upper left quarter."""
    masks = np.zeros((len(films.pixels), SIDE, SIDE), dtype=np.uint8)
    masks[:, : SIDE // 2, : SIDE // 2] = 1
    rows = np.arange(len(films.pixels))
    return replace(films, boxes=BoxMasks(rows, np.zeros_like(rows), masks), box_weight=weight)


@pytest.mark.parametrize("head", [Head(6, 5, 3, 0.4), LinearHead(6, 3)])
def test_the_map_is_the_one_that_people_are_shown(head: Head | LinearHead) -> None:
    """With its negative parts cut off, it is a multiple of Grad-CAM as serving computes it."""
    head.eval()
    features = torch.rand(2, 6, 4, 5)
    layers = (
        [(head.logits.weight, head.logits.bias)]
        if isinstance(head, LinearHead)
        else [(head.hidden.weight, head.hidden.bias), (head.logits.weight, head.logits.bias)]
    )
    served = graph.Head(tuple((w.detach().numpy().T, b.detach().numpy()) for w, b in layers))
    with torch.no_grad():
        found = activation(features, torch.tensor([2, 0]), head).clamp(min=0).numpy()
    for film, output in enumerate((2, 0)):
        shown = explain.class_activation(features[film].numpy(), served)[output]
        np.testing.assert_allclose(found[film] / 20, shown, atol=1e-6)


def test_a_map_inside_costs_nothing_and_outside_much() -> None:
    """The loss is the negative logarithm of the share inside; a box that left the film counts nothing."""
    masks = torch.zeros(2, SIDE, SIDE)
    masks[0, :32, :32] = 1
    peak = torch.zeros(2, 4, 4)
    peak[0, 0, 0] = 50
    assert float(outside_loss(peak, masks)) == pytest.approx(0, abs=1e-6)
    assert float(outside_loss(-peak, masks)) == pytest.approx(-np.log(3 / 15), abs=1e-4)
    assert float(outside_loss(peak.flip(1, 2), masks)) > 10
    assert float(outside_loss(peak, torch.zeros(2, SIDE, SIDE))) == 0


def test_a_box_moves_with_its_film() -> None:
    """Turned, scaled and shifted, a bright square stays under its mask."""
    film = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
    film[0, 10:30, 30:56] = 255
    still = {"gamma": 0.0, "contrast": 0.0, "blur": 0.0, "noise": 0.0, "jpeg": 0.0}
    limits = Augmentation(rotation=30, shift=0.2, scale=0.2, **still)
    for seed in range(6):
        pixels, affine = augment_and_tell(film, limits, SIDE, torch.Generator().manual_seed(seed))
        masks = BoxMasks(np.array([7]), np.array([1]), film // 255)
        drawn = masks.of(np.array([7]), affine)
        np.testing.assert_allclose(drawn.masks.numpy(), pixels.numpy(), atol=2e-4)
        assert (drawn.films.tolist(), drawn.outputs.tolist()) == ([0], [1])
    assert masks.of(np.array([3, 4]), affine.repeat(2, 1, 1)).masks.shape == (0, SIDE, SIDE)


def test_training_draws_the_maps_into_the_boxes(tmp_path: Path) -> None:
    """The share of the maps inside the boxes rises with the weight."""
    films = replace(bright_or_dark(), pixels=ramps())
    shares = []
    for weight in (0.0, 5.0):
        run = run_to(tmp_path / f"{weight}", films=boxed(films, weight), fit=replace(FIT, clip=0.0))
        with torch.no_grad():
            inputs = torch.from_numpy(films.pixels).float().unsqueeze(1).repeat(1, 3, 1, 1) / 127.5 - 1
            maps = activation(
                run.network.eval().features(inputs), torch.zeros(len(inputs), dtype=torch.long), run.network.head
            )
            shares.append(float(torch.softmax(maps.flatten(1), 1).view_as(maps)[:, :10, :10].sum(dim=(1, 2)).mean()))
    assert shares[1] > shares[0] + 0.02


def ramps() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return 13 films that are brighter to the upper left, so that a network of one convolution can tell where it is."""
    ramp = np.add.outer(np.arange(20), np.arange(20))[::-1, ::-1] * 6
    return np.stack([np.clip(ramp + number, 0, 255) for number in range(13)]).astype(np.uint8)


def test_a_training_with_boxes_resumes_exactly(tmp_path: Path) -> None:
    """Cut off and started again, it ends with the same weights to the last bit."""
    films, judged = boxed(bright_or_dark(), 0.5), 0

    def judge(_network: object, _size: int) -> dict[str, float]:
        nonlocal judged
        judged += 1
        if judged == 2:
            raise InterruptedError
        return {}

    straight = run_to(tmp_path / "straight", films=films)
    with pytest.raises(InterruptedError):
        run_to(tmp_path / "cut", judge, films=films)
    assert same_weights(straight.network, run_to(tmp_path / "cut", films=films).network)
    assert not same_weights(straight.network, run_to(tmp_path / "without").network)
    assert not same_weights(straight.network, small_network())


def test_boxes_are_read_for_the_films_and_outputs_of_the_training(tmp_path: Path) -> None:
    """Boxes are measured in the film's own pixels; those of other films and findings are left out, and none at all is refused."""
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    table = Table(tmp_path, (Row(Path("b.png"), "2"), Row(Path("a.png"), "1")))
    path = tmp_path / "boxes.csv"
    path.write_text(
        "file,finding,x,y,w,h\na.png,Effusion,0,50,100,50\na.png,Mass,0,0,9,9\nc.png,Effusion,0,0,9,9\n"
        "a.png,Fracture,0,0,9,9\n"
    )
    read = box_masks(path, table, ("Pneumothorax", "Effusion", "Lesion"))
    assert (read.films.tolist(), read.outputs.tolist()) == ([1, 1], [1, 2])
    assert read.masks[0, SIDE // 2 :, : SIDE // 2].all()
    assert read.masks[0].sum() == (SIDE // 2) ** 2
    with pytest.raises(ConfigError, match=r"boxes\.table"):
        box_masks(path, table, ("Edema",))
