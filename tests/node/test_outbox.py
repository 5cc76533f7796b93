"""The outbox: everything arrives, once; a peer that is away is waited for, one that refuses is given up in the end."""

from __future__ import annotations

from threading import Event

import pytest
from pynetdicom import _config
from pynetdicom.sop_class import BasicTextSRStorage, SecondaryCaptureImageStorage

from hilum.node.outbox import UnreachableError, backoff, run_outbox
from hilum.node.send import send_by_store
from hilum.node.settings import DimsePeer
from hospital import dicom, film, receiving, running, send, settings_for, wait_for, written

KEY = "a" * 32


@pytest.fixture
def outbox(spool, metrics, tmp_path):
    """Run an outbox with a ``send`` until it has been called so often; return the metrics by outcome."""
    spool.accept(KEY, b"film")
    spool.keep_results(KEY, [b"result"], ["pacs"])

    def run(send, calls=1, **given):
        stop, count = Event(), iter(range(1, calls + 1))

        def counted(letters):
            if next(count) == calls:
                stop.set()
            return send(letters)

        run_outbox("pacs", counted, spool, settings_for(tmp_path, 1, **given), metrics, stop)
        outcomes = ("delivered", "retried", "dead")
        value = metrics.registry.get_sample_value
        return {one: value("hilum_node_deliveries_total", {"peer": "pacs", "outcome": one}) or 0 for one in outcomes}

    return run


def unreachable(letters):
    raise UnreachableError("no_association")


def refusing(letters):
    return ((key, "status_A900") for key in letters)


def test_waits_double_up_to_the_longest(tmp_path):
    """Each further failure doubles the wait, without end but never beyond the longest."""
    settings = settings_for(tmp_path, 1, retry_seconds=1, retry_most_seconds=600)
    assert [backoff(failures, settings) for failures in (0, 1, 2, 9, 10, 5000)] == [1, 2, 4, 512, 600, 600]


def test_what_was_taken_is_removed(outbox, spool):
    """When the last peer has a film's results, film and results leave the disk."""
    assert outbox(lambda letters: ((key, None) for key in letters)) == {"delivered": 1, "retried": 0, "dead": 0}
    assert spool.journal.state(KEY) == "done"
    assert spool.results(KEY) == []


@pytest.mark.parametrize("send", [unreachable, refusing])
def test_what_was_not_taken_is_tried_again(outbox, spool, send):
    """A peer that is away or refuses gets the results again."""
    assert outbox(send, calls=3) == {"delivered": 0, "retried": 3, "dead": 0}
    assert spool.results(KEY) == [b"result"]


@pytest.mark.parametrize("send", [unreachable, refusing])
def test_in_the_end_it_is_given_up(outbox, spool, send):
    """After the set time the delivery is a dead letter, whose results are kept."""
    assert outbox(send, give_up_hours=1e-9)["dead"] == 1
    assert spool.journal.state(KEY) == "dead"
    assert spool.results(KEY) == [b"result"]


def test_results_that_are_gone_are_not_delivered(outbox, spool, tmp_path, metrics):
    """Where somebody emptied the spool, the film is a dead letter, and not one that its peer has."""
    stop = Event()
    spool.remove(KEY)
    give_up = spool.journal.give_up

    def noted(key, peer):
        stop.set()
        give_up(key, peer)

    spool.journal.give_up = noted
    run_outbox("pacs", lambda letters: pytest.fail("sent"), spool, settings_for(tmp_path, 1), metrics, stop)
    assert spool.journal.state(KEY) == "dead"


def test_a_peer_that_comes_back_gets_everything(tmp_path):
    """Results wait while the peer is away, and both peers get theirs."""
    with receiving() as gone:
        port = gone.port
    with receiving() as first, running(settings_for(tmp_path, first.port, port)) as node:
        send(node, film(), film())
        wait_for(lambda: len(first.instances) == 2)
        with receiving(port=port) as second:
            wait_for(lambda: len(second.instances) == 2)
            assert sorted(second.instances) == sorted(first.instances)
            wait_for(lambda: not list((tmp_path / "spool").rglob("*.dcm")))


def test_a_peer_that_refuses_for_a_while_gets_everything(tmp_path, receiver):
    """A failure status is no delivery."""
    receiver.status = 0xA700
    with running(settings_for(tmp_path, receiver.port)) as node:
        send(node, film())
        wait_for(lambda: list((tmp_path / "spool" / "results").glob("*.dcm")))
        receiver.status = 0x0000
        wait_for(lambda: receiver.instances)


def test_what_is_undelivered_at_a_stop_is_delivered_after_the_next_start(tmp_path, receiver):
    """A restart goes on where the last run stopped, with dead letters where that is asked for."""
    settings = settings_for(tmp_path, 1, give_up_hours=1e-9)
    with running(settings) as node:
        send(node, film())
        wait_for(lambda: list((tmp_path / "spool" / "results").glob("*.dcm")))
    settings = settings_for(tmp_path, receiver.port)
    with running(settings, retry_dead=True):
        wait_for(lambda: receiver.instances)


def test_a_warning_is_a_delivery(receiver):
    """Statuses 0xBxxx say that the object was stored."""
    receiver.status = 0xB000
    peer = DimsePeer(name="pacs", ae_title="PACS", host="127.0.0.1", port=receiver.port)
    letters = {KEY: [written(dicom(BasicTextSRStorage))]}
    assert list(send_by_store(peer, "HILUM", None, letters)) == [(KEY, None)]


def test_what_a_peer_does_not_know_is_its_own_problem_only(receiver, monkeypatch):
    """A film whose results the peer has no presentation context for fails alone."""
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    peer = DimsePeer(name="pacs", ae_title="PACS", host="127.0.0.1", port=receiver.port)
    good, unknown = written(dicom(BasicTextSRStorage)), written(dicom(SecondaryCaptureImageStorage))
    outcomes = dict(send_by_store(peer, "HILUM", None, {"a": [good], "b": [good, unknown], "c": [good]}))
    assert outcomes == {"a": None, "b": "no_presentation_context", "c": None}


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"ae_title": "OTHER"}, "rejected"), ({"port": 1}, "no_association"), ({"host": "no..host"}, "no_address")],
)
def test_a_peer_that_is_not_there_is_unreachable(receiver, given, reason):
    """The reason is a code."""
    peer = DimsePeer(**({"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": receiver.port} | given))
    with pytest.raises(UnreachableError, match=reason):
        list(send_by_store(peer, "HILUM", None, {KEY: [written(dicom(BasicTextSRStorage))]}))
