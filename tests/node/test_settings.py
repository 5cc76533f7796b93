"""The node's settings: loopback unless both allow-lists are given, and nothing that does not fit together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.node.settings import DimsePeer, StowPeer, load_node_settings

DOCS = Path(__file__).parents[2] / "docs" / "reference"
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
