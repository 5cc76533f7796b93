"""What is signed covers every byte of a model, and nothing else than what was signed is trusted."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hilum import pipeline
from hilum.errors import BundleError, ConfigError, HashMismatch, Untrusted
from hilum.records import EnsembleRecord, Interval, OperatingPoint
from hilum.registry import ENSEMBLE, MANIFEST, find_bundles, load_bundle, read_ensemble, save_bundle, save_ensemble
from hilum.signatures import Trust, check, make_key, read_private_key, read_signer, sign
from tiny_h5 import classifier


@pytest.fixture
def models(tiny_folder, tmp_path, monkeypatch) -> Path:
    """Tiny bundles with everything that a bundle may hold, measured together, in place of those that ship."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "bundles"))
    for place in find_bundles(folder):
        bundle = load_bundle(place)
        files = {name: (place / name).read_bytes() for name in bundle.manifest.files}
        save_bundle(place, bundle.manifest, files | {"card.md": b"a card"})
    members = {bundle.manifest.id: bundle.sha256 for bundle in map(load_bundle, find_bundles(folder))}
    point = OperatingPoint(41.5, 0.71, 0.82)
    save_ensemble(folder, EnsembleRecord(members, {"Edema": {"youden": point}}, {"Edema": Interval(0.8, 0.7, 0.9)}))
    monkeypatch.setattr(pipeline, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def trust(models, tmp_path) -> Trust:
    """Trust in one signer, who has signed all of it."""
    return trust_in(tmp_path, models, "hospital.key")


def trust_in(tmp_path, models, name, what=("manifest", "ensemble")):
    public = make_key(tmp_path / name)
    key, folder = read_private_key(tmp_path / name), tmp_path / "signatures"
    if "manifest" in what:
        for place in find_bundles(models):
            sign(folder, "manifest", load_bundle(place).sha256, key)
    if "ensemble" in what:
        sign(folder, "ensemble", read_ensemble(models)[1], key)
    return Trust((read_signer(public),), folder)


def test_what_is_signed_opens(models, trust):
    """A policy that asks for signatures lets in what has them, the measurement of the ensemble too."""
    engine = pipeline.open_engine(threads=1, trust=trust)
    assert len(engine.members) == len(find_bundles(models))
    assert engine.record is not None


def places(value, path=()):
    """Yield the path of every value in a JSON document."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from places(below, (*path, number))
    else:
        yield path


def change(value):
    """Return another value that such a field could have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 0.25 if isinstance(value, float) else value + 1
    return "ab" * 32 if value is None else f"{value}x"


def test_every_field_of_a_manifest_counts(models, trust):
    """Whichever value of a manifest is another, the bundle does not open."""
    folder = find_bundles(models)[0]
    original = (folder / MANIFEST).read_bytes()
    tried = 0
    for path in places(json.loads(original)):
        document = json.loads(original)
        *above, last = path
        inner = document
        for key in above:
            inner = inner[key]
        inner[last] = change(inner[last])
        (folder / MANIFEST).write_text(json.dumps(document))
        with pytest.raises(BundleError):
            check(trust, "manifest", load_bundle(folder).sha256, "it")
        tried += 1
    assert tried > 50


@pytest.mark.parametrize("at", [0, 0.5, 1])
def test_every_file_counts(models, trust, at):
    """One bit of any file of a bundle, or of ensemble.json, and nothing opens."""
    folder = find_bundles(models)[0]
    for path in (*folder.iterdir(), models / ENSEMBLE):
        original = path.read_bytes()
        changed = bytearray(original)
        changed[round(at * (len(original) - 1))] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BundleError):
            pipeline.open_engine(threads=1, trust=trust)
        path.write_bytes(original)
    assert pipeline.open_engine(threads=1, trust=trust)


def test_one_weight_is_found_without_signatures_too(models):
    """A changed weight is not the one that the manifest names, whatever the policy."""
    path = find_bundles(models)[0] / "model.onnx"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(HashMismatch, match=r"model\.onnx"):
        pipeline.open_engine(threads=1)


def test_a_bundle_made_anew_is_not_the_one_signed(models, trust):
    """Who changes a file and its hash in the manifest has no signature for that."""
    folder = find_bundles(models)[0]
    bundle = load_bundle(folder)
    files = {name: (folder / name).read_bytes() for name in bundle.manifest.files}
    save_bundle(folder, bundle.manifest, files | {"card.md": b"another card"})
    assert pipeline.open_engine(threads=1)
    with pytest.raises(Untrusted, match="not signed by a key that is trusted"):
        pipeline.open_engine(threads=1, trust=trust)


def test_a_bundle_that_joins_needs_a_signature(models, trust, tmp_path):
    """One unsigned bundle in the models folder, and the service does not start."""
    own = tmp_path / "models"
    bundle = load_bundle(find_bundles(models)[0])
    files = {name: (bundle.folder / name).read_bytes() for name in bundle.manifest.files}
    save_bundle(own / "guest", replace(bundle.manifest, id="guest"), files)
    with pytest.raises(Untrusted, match="not signed"):
        pipeline.open_engine(own, threads=1, trust=trust)


def test_a_keras_file_can_not_be_signed(models, trust, tmp_path):
    """A .h5 file and its sidecar are no bundle; where signatures are asked for it is refused, and the error says what to do."""
    (tmp_path / "models").mkdir()
    classifier(tmp_path / "models" / "mobilenet_mimic.h5", 10)
    assert pipeline.open_engine(tmp_path / "models", threads=1)
    with pytest.raises(Untrusted, match="hilum models import"):
        pipeline.open_engine(tmp_path / "models", threads=1, trust=trust)


def test_only_the_ensembles_record_unsigned_is_refused(models, tmp_path):
    """Operating points that nobody signed are not used, nor quietly left out."""
    trust = trust_in(tmp_path, models, "hospital.key", ("manifest",))
    with pytest.raises(Untrusted, match=r"ensemble\.json"):
        pipeline.open_engine(threads=1, trust=trust)


def test_another_ones_signature_is_not_enough(models, trust, tmp_path):
    """A stranger's signature, put under the trusted signer's name too, is refused; of two trusted signers one is enough."""
    stranger = trust_in(tmp_path, models, "stranger.key")
    both = Trust((*stranger.signers, *trust.signers), trust.folder)
    for path in trust.folder.glob(f"*.{trust.signers[0].hex()[:16]}.sig"):
        theirs = path.with_name(path.name.replace(trust.signers[0].hex()[:16], stranger.signers[0].hex()[:16]))
        path.write_bytes(theirs.read_bytes())
    with pytest.raises(Untrusted, match="signature that is not right"):
        pipeline.open_engine(threads=1, trust=trust)
    assert pipeline.open_engine(threads=1, trust=both)


def test_a_signature_is_of_one_thing(trust, models):
    """The signature of one manifest is none of another, and none of an ensemble's record."""
    first, second = (load_bundle(place).sha256 for place in find_bundles(models)[:2])
    signer = trust.signers[0].hex()[:16]
    (trust.folder / f"{second}.{signer}.sig").write_bytes((trust.folder / f"{first}.{signer}.sig").read_bytes())
    check(trust, "manifest", first, "it")
    for what, digest in (("manifest", second), ("ensemble", first)):
        with pytest.raises(Untrusted, match="not right"):
            check(trust, what, digest, "it")


@pytest.mark.parametrize("content", [b"", b"?", b"A" * 10_000, base64.b64encode(bytes(64)), base64.b64encode(b"short")])
def test_what_is_no_signature_is_refused(trust, models, content):
    """Whatever stands in the file, only a signature is one."""
    digest = load_bundle(find_bundles(models)[0]).sha256
    (trust.folder / f"{digest}.{trust.signers[0].hex()[:16]}.sig").write_bytes(content)
    with pytest.raises(Untrusted, match="not right"):
        check(trust, "manifest", digest, "it")


def test_keys_are_ed25519_and_kept_safe(tmp_path):
    """The private key is its owner's alone and is not written over; a key of another kind is refused."""
    public = make_key(tmp_path / "a.key")
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never written over"):
        make_key(tmp_path / "a.key")
    (tmp_path / "a.key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_private_key(tmp_path / "a.key")
    other = rsa.generate_private_key(65537, 2048)
    pem = serialization.Encoding.PEM
    forms = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "b.key").write_bytes(other.private_bytes(pem, *forms))
    (tmp_path / "b.key").chmod(0o600)
    (tmp_path / "b.pub").write_bytes(
        other.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for read, path in ((read_private_key, "b.key"), (read_signer, "b.pub")):
        with pytest.raises(ConfigError, match="Ed25519"):
            read(tmp_path / path)
    for content in (b"", b"-----BEGIN"):
        public.write_bytes(content)
        with pytest.raises(ConfigError, match="can't be read"):
            read_signer(public)
        (tmp_path / "b.key").write_bytes(content)
        with pytest.raises(ConfigError, match="can't be used"):
            read_private_key(tmp_path / "b.key")
