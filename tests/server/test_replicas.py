"""The files that start several replicas. (tests/peers runs their nginx before real services.)"""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_a_replica_is_the_service():
    """A replica runs as compose.yaml runs the one service, but is not published; only the balancer is, on loopback."""
    one = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["hilum"]
    services = yaml.safe_load((ROOT / "compose.replicas.yaml").read_text("utf-8"))["services"]
    replica, balancer = services["hilum"], services["balancer"]
    assert replica.pop("deploy") == {"replicas": 3}
    assert one.pop("ports") == ["127.0.0.1:5000:5000"]
    assert replica == one
    assert balancer["ports"] == ["127.0.0.1:5000:8080"]
    kept = ("read_only", "tmpfs", "cap_drop", "security_opt")
    assert {name: balancer[name] for name in kept} == {name: one[name] for name in kept}
    (folder,) = balancer["volumes"]
    assert (ROOT / folder.split(":")[0] / "nginx.conf").is_file()
    assert "/replicas/nginx.conf" in balancer["command"]


def test_the_balancer_sends_to_the_replicas():
    """nginx looks for the service by the name and the port that it has."""
    text = (ROOT / "examples" / "replicas" / "nginx.conf").read_text("utf-8")
    assert "server hilum:5000 resolve" in text
    assert "HILUM_PORT=5000" in (ROOT / "Containerfile").read_text("utf-8")
    assert "listen 8080;" in text
