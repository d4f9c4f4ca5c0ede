"""Signatures: whose artifact it is, by a key of one's own, with the optional extra `signing`.

Checksums tell of damage. A signature tells that who holds the private key has signed exactly these files. It
lies in the artifact's folder as `model.sig`, over all other files, in the format of OpenSSF Model Signing,
whose own command line can check it as well.

A pair of keys is made once, on one's own machine. The private key stays there; the public key goes to who
checks, by another way than the artifacts:

    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    key, plain = ec.generate_private_key(ec.SECP256R1()), pem.NoEncryption()
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)

`private` and `public` are what the files `private.pem` and `public.pem` hold.

References:
    Open Source Security Foundation 2025, OpenSSF Model Signing Specification.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from l2zoo.artifacts import manifest, plain_file
from l2zoo.utils.validation import check_installed

_NEEDED = ("model_signing", "OpenSSL")
_LARGEST = 16 * 2**20  # bytes; ours have a few thousand


def sign(folder: str | Path, private_key: str | Path) -> Path:
    """Signs an artifact; a signature that is there already is replaced.

    Args:
        folder: An artifact's folder, as `export` wrote it; its files must be unchanged.
        private_key: A PEM file with an elliptic curve's private key (P-256, P-384, P-521), no password.

    Returns:
        The signature's file, `model.sig` in the folder.

    Raises:
        ImportError: The extra `signing` is not installed.
        FileNotFoundError: There is no such artifact or no such key.
        ValueError: The artifact is damaged, or the key is of another kind.
    """
    check_installed("Signing", _NEEDED, extra="signing")
    folder, key = Path(folder), _key_file("private_key", private_key)
    manifest.read_and_check(folder)
    from model_signing.hashing import Config as Hashing
    from model_signing.signing import Config

    try:
        signer = Config().use_elliptic_key_signer(private_key=key)
    except Exception as error:  # the errors are those of the packages below
        raise ValueError(
            f"`private_key` must be a PEM file with an elliptic curve's private key without a password, got "
            f"private_key={str(key)!r} ({type(error).__name__}: {error})."
        ) from error
    # The signature is not among what it signs, nor are files of git: `verify` lets no such file pass.
    signer.set_hashing_config(Hashing().set_ignored_paths(paths=[manifest.SIGNATURE], ignore_git_paths=False))
    path = folder / manifest.SIGNATURE
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.resolve().name}.", dir=folder.resolve().parent
    ) as beside:
        fresh = Path(beside, manifest.SIGNATURE)
        signer.sign(folder, fresh)
        fresh.replace(path)
    return path


def check_signature(folder: str | Path, public_key: str | Path) -> None:
    """Checks that an artifact is unchanged, and signed by who holds the private key of a pair.

    Nothing in the folder is opened but as bytes. What an artifact does when it is run is for you to judge by
    who signed it: a model can be whole and signed, and still be a bad one.

    Args:
        folder: An artifact's folder.
        public_key: A PEM file with the public key of whom you trust; never one that came with the artifact.

    Raises:
        ImportError: The extra `signing` is not installed.
        FileNotFoundError: There is no such artifact, no such key, or no signature.
        ValueError: The artifact is damaged, or was signed by another key, or was changed afterwards.
    """
    check_installed("Signing", _NEEDED, extra="signing")
    folder, key = Path(folder), _key_file("public_key", public_key)
    manifest.read_and_check(folder)
    path = folder / manifest.SIGNATURE
    if not path.is_file():
        raise FileNotFoundError(
            f"The artifact in {str(folder)!r} is not signed: it holds no {manifest.SIGNATURE}. Who wrote it "
            "signs it with `l2zoo.artifacts.signing.sign`."
        )
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{manifest.SIGNATURE} is larger than {_LARGEST} bytes: it is no signature of ours.")
    from model_signing.hashing import Config as Hashing
    from model_signing.verifying import Config

    try:
        verifier = Config().use_elliptic_key_verifier(public_key=key)
    except Exception as error:  # the errors are those of the packages below
        raise ValueError(
            f"`public_key` must be a PEM file with an elliptic curve's public key, got "
            f"public_key={str(key)!r} ({type(error).__name__}: {error})."
        ) from error
    # What is hashed is said here, not by the signature.
    verifier.set_hashing_config(
        Hashing().set_ignored_paths(paths=[manifest.SIGNATURE], ignore_git_paths=False)
    )
    try:
        verifier.verify(folder, path)
    except Exception as error:
        raise ValueError(
            f"The signature of the artifact in {str(folder)!r} does not hold for "
            f"public_key={str(key)!r}: {_reason(error)}. Do not use this artifact."
        ) from error


def copy_signature(folder: Path, target: Path) -> None:
    """Copies an artifact's signature beside a copy of its files.

    Raises:
        ValueError: It is no signature.
    """
    if plain_file.copy(folder / manifest.SIGNATURE, target / manifest.SIGNATURE, most=_LARGEST) is None:
        raise ValueError(f"{manifest.SIGNATURE} is larger than {_LARGEST} bytes: it is no signature of ours.")


def _reason(error: Exception) -> str:
    words = str(error).strip()
    if words.startswith("Signature mismatch"):  # with every digest of both sides
        return "files were changed after it was signed"
    if words.startswith("Key mismatch"):
        return "another key signed it"
    return f"{type(error).__name__}: {words[:100]}".rstrip(": .")


def _key_file(argument: str, key: str | Path) -> Path:
    path = Path(key).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"`{argument}` must be a PEM file, got {argument}={str(key)!r}.")
    return path
