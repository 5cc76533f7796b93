"""Any network of timm as a trunk: its last feature map N×C×h×w, whatever timm itself calls features."""

from __future__ import annotations

import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from hilum.errors import ConfigError

TIMM = "timm:"
"""In front of timm's own name, in ``network.architecture``."""
FAMILIES: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True},
    {"strict_img_size": False},
    {},
)
"""What lets a transformer take films of other sizes than its own: not every family has it, and each has another word for it."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class TimmTrunk(nn.Module):
    """A timm network without its head: images N×3×H×W to a feature map N×C×h×w.

    A transformer's patch tokens are put back into their grid; class and register tokens are left out.
    """

    def __init__(self, name: str, size: int) -> None:
        super().__init__()
        self.name, self.size = name, size
        self.model = _create(name, size)
        self.channels = int(self.model.num_features)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model.forward_features(x)
        if found.ndim == 3:
            tokens = found[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]
            side = math.isqrt(tokens.shape[1])
            return tokens.transpose(1, 2).reshape(-1, self.channels, side, side)
        return found.permute(0, 3, 1, 2) if str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC") else found

    def parts(self) -> list[nn.Module]:
        """Return the network's parts in order: what stands alone, and the blocks of each stage."""
        found: list[nn.Module] = []
        for child in self.model.children():
            found += child.children() if isinstance(child, nn.Sequential | nn.ModuleList) else [child]
        return found

    def load_public(self, path: Path | None) -> None:
        """Take timm's public weights: downloaded, or from a file. Raises ``ConfigError`` if that fails."""
        from safetensors import SafetensorError

        given = {} if path is None else {"pretrained_cfg_overlay": {"file": str(path)}}
        try:
            self.model = _create(self.name, self.size, pretrained=True, **given)
        except (OSError, RuntimeError, ValueError, KeyError, UnpicklingError, SafetensorError) as error:
            raise ConfigError(
                f"timm's public weights for {self.name} could not be loaded ({type(error).__name__}). Expected a network that has "
                "some and a way to the internet, or, in network.initial_path, a .safetensors or .pth file of this network's."
            ) from None


def timm_trunk(name: str, size: int) -> TimmTrunk:
    """Return the trunk of a timm network, with weights that nothing was trained on. Raises ``ConfigError`` if it can't be one."""
    trunk = TimmTrunk(name, size)
    with torch.no_grad():
        trunk.eval()
        features = trunk(torch.zeros(1, 3, size, size))
        trunk.train()
    if features.ndim != 4 or features.shape[1] != trunk.channels:
        raise ConfigError(f"timm's {name} gives no feature map that a head could pool. Expected another network.")
    return trunk


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation, by channel, that a timm network's public weights take pixels 0–1 with."""
    cfg = _library().get_pretrained_cfg(name, allow_unregistered=True)
    return (IMAGENET_MEAN, IMAGENET_STD) if cfg is None else (tuple(cfg.mean), tuple(cfg.std))


def public_weights(name: str, path: Path | None) -> str:
    """Return in words what public weights a timm network starts from."""
    if path is not None:
        return f"public weights of timm's {name}, from a file"
    cfg = _library().get_pretrained_cfg(name, allow_unregistered=True)
    tag = f".{cfg.tag}" if cfg is not None and cfg.tag and "." not in name else ""
    return f"public weights of timm's {name}{tag} ({(cfg and cfg.license) or 'licence not stated'})"


def _library() -> Any:
    """Import timm. Raises ``ConfigError`` where it is not installed."""
    try:
        import timm
    except ModuleNotFoundError:
        raise ConfigError(
            "Networks of timm need timm, which is not installed. Do: pip install 'hilum[train,timm]'."
        ) from None
    return timm


def _create(name: str, size: int, **given: Any) -> Any:
    timm = _library()
    if not timm.is_model(name):
        raise ConfigError(f"timm {timm.__version__} has no network {name}. Expected a name of timm.list_models().")
    for family in FAMILIES:
        sized = {"img_size": size, **family} if family else {}
        try:
            return timm.create_model(name, num_classes=0, global_pool="", **sized, **given)
        except TypeError:
            continue  # this family takes any size as it is, or has another word for it
    raise ConfigError(f"timm's {name} can't be built without its head. Expected another network.")
