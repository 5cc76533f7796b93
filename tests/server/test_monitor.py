"""The service beside a monitor."""

from __future__ import annotations

from hilum.monitor.live import Monitor
from hilum.server.app import create_app
from hilum.server.settings import Settings


def test_metrics_tell_what_the_monitor_sees(make_client, tiny_engine, film_png, tmp_path):
    """A film that is posted has a row, also one that is answered with a document; metrics count both. Without a monitor none do."""
    monitor = Monitor(tmp_path, tiny_engine, baseline=1)
    client = type(make_client())(create_app(Settings(), tiny_engine, monitor=monitor))
    for path in ("/api/ml-analyze", "/api/v1/analyze?format=html"):
        assert client.request("POST", path, files={"image": ("x.png", film_png)}).status_code == 200
    page = client.get("/metrics").text
    assert "hilum_monitor_films 2.0" in page
    assert 'hilum_monitor_level{statistic="brightness"}' in page
    assert "hilum_monitor" not in make_client().get("/metrics").text
    (path,) = tmp_path.iterdir()
    assert len(path.read_text().splitlines()) == 3
