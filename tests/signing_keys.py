"""Keys that sign artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key, as PEM files in a folder; skips the test where nothing can sign."""
    pytest.importorskip("model_signing", reason='needs pip install "l2zoo[signing]"')
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    of_all = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(of_all)
    return private, public
