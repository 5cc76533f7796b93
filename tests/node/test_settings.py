"""The node's settings: loopback unless both allow-lists are given, and nothing that does not fit together."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.node.journal import STATES
from hilum.node.metrics import make_node_metrics
from hilum.node.settings import DimsePeer, NodeSettings, StowPeer, load_node_settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "reference"
RECIPE = ROOT / "examples" / "orthanc"
PACS = {"name": "pacs", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": 4242}
WEB = {"name": "web", "url": "https://pacs.example.org/dicom-web"}
LISTS = {"callers": ("PACS",), "addresses": ("10.1.0.0/16",)}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HILUM_")]:
        monkeypatch.delenv(name)


def test_defaults_are_loopback_and_both_results():
    """With only a peer set, this machine alone may send films, and SR and SC go back."""
    settings = load_node_settings(peers=[PACS])
    assert (settings.host, settings.port, settings.ae_title) == ("127.0.0.1", 11112, "HILUM")
    assert settings.returns == ("sr", "sc")


def test_peers_come_from_environment_or_file(tmp_path, monkeypatch):
    """A table of peers is JSON in a variable, and tables in TOML; the other settings stand beside it."""
    monkeypatch.setenv("HILUM_NODE_PEERS", json.dumps([PACS, WEB]))
    monkeypatch.setenv("HILUM_PORT", "5001")  # the service's own
    config = tmp_path / "node.toml"
    config.write_text('ae_title = "CHEST"\n')
    settings = load_node_settings(config)
    assert [type(peer) for peer in settings.peers] == [DimsePeer, StowPeer]
    assert settings.ae_title == "CHEST"
    monkeypatch.delenv("HILUM_NODE_PEERS")
    config.write_text('[[peers]]\nname = "web"\nurl = "https://pacs.example.org/dicom-web"\n')
    assert load_node_settings(config).peers == (StowPeer(**WEB),)


@pytest.mark.parametrize("missing", ["callers", "addresses"])
def test_reachable_by_others_needs_both_lists(missing):
    """Beyond loopback, films are taken only from listed titles at listed addresses."""
    assert load_node_settings(host="0.0.0.0", peers=[PACS], **LISTS).host == "0.0.0.0"
    with pytest.raises(ConfigError, match="Name the AE titles and the networks"):
        load_node_settings(host="0.0.0.0", peers=[PACS], **(LISTS | {missing: ()}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "peers is empty"),
        ({"peers": [PACS, PACS]}, "same name"),
        ({"peers": [PACS], "tls_certificate": "a.pem"}, "tls_key"),
        ({"peers": [PACS | {"ae_title": "A" * 17}]}, "ae_title"),
        ({"peers": [WEB | {"url": "https://user:secret@pacs.example.org"}]}, "url"),
        ({"peers": [PACS], "addresses": ["10.1.0.1/16"]}, "addresses"),
        ({"peers": [PACS], "returns": ["pdf"]}, "returns"),
        ({"peers": [PACS], "returns": []}, "returns"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    """Each mistake is named by its setting, and a secret in it is not repeated."""
    with pytest.raises(ConfigError, match=said) as error:
        load_node_settings(**given)
    assert "secret" not in str(error.value)


def test_unknown_names_are_refused(monkeypatch):
    """A mistyped variable is named, with the nearest known one."""
    monkeypatch.setenv("HILUM_NODE_PERS", "[]")
    with pytest.raises(ConfigError, match="did you mean HILUM_NODE_PEERS"):
        load_node_settings()


def sections(text: str) -> list[dict[str, str]]:
    """Return the page's tables of settings, each as name → the rest of its row."""
    tables = re.split(r"^\| (?:setting|field of `peers`) \|.*$", text, flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^\| `(\w+)` \| (.*)$", table.split("\n\n")[0], re.MULTILINE)) for table in tables]


def test_every_setting_is_documented():
    """The reference's tables are the settings' own: name, default, description."""
    tables = sections((DOCS / "node-settings.md").read_text("utf-8"))
    assert len(tables) == 3
    for table, record in zip(tables, (NodeSettings, DimsePeer, StowPeer), strict=True):
        assert set(table) == set(record.model_fields)
        for name, field in record.model_fields.items():
            assert table[name] == f"{shown(field)} | {field.description} |"


def shown(field) -> str:
    """Return a default as the reference writes it."""
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}):
        return "unset" if default is None else "none"
    return f"`{','.join(default) if isinstance(default, tuple) else default}`"


def test_the_states_and_metrics_are_documented():
    """The reference has every state of a film and every metric of the node."""
    text = (DOCS / "node-settings.md").read_text("utf-8")
    assert (
        tuple(re.findall(r"^\| (\w+) \| ", text.split("| state | means |")[1].split("\n\n")[0], re.MULTILINE)) == STATES
    )
    metrics = make_node_metrics(lambda: dict.fromkeys(STATES, 0))
    names = {f"{one.name}{'_total' if one.type == 'counter' else ''}" for one in metrics.registry.collect()}
    assert set(re.findall(r"^\| `(hilum_node_\w+)` \|", text, re.MULTILINE)) == names


def test_the_recipe_is_valid():
    """The node's settings in the recipe beside Orthanc can be used as they stand, and the two know each other's names."""
    settings = load_node_settings(RECIPE / "node.toml")
    orthanc = json.loads((RECIPE / "orthanc.json").read_text("utf-8"))
    (peer,) = settings.peers
    assert (peer.ae_title, peer.port) == (orthanc["DicomAet"], orthanc["DicomPort"])
    modality = orthanc["DicomModalities"]["hilum"]
    assert (modality["AET"], modality["Port"]) == (settings.ae_title, settings.port)
    assert settings.callers == (orthanc["DicomAet"],)
    compose = (RECIPE / "compose.yaml").read_text("utf-8")
    for name in re.findall(r"- \./([\w.]+):", compose):
        assert (RECIPE / name).is_file() or name in ("users.json", "password"), name
