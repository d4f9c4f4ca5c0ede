"""A signature holds for exactly the files that were signed, and for one key."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from l2zoo.artifacts import manifest, signing


@pytest.fixture
def without_the_extra(monkeypatch):
    found = importlib.util.find_spec
    hidden = signing._NEEDED
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in hidden else found(name))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two pairs, made by the lines that the module's docstring has."""
    for name in signing._NEEDED:
        pytest.importorskip(name, exc_type=ImportError)
    lines = re.findall(r"^    (\S.*)$", signing.__doc__.split("References")[0], re.MULTILINE)
    assert len(lines) == 5
    made = {}
    for name in ("ours", "theirs"):
        folder, names = tmp_path_factory.mktemp(name), {}
        exec("\n".join(lines), names)
        for kind in ("private", "public"):
            (folder / f"{kind}.pem").write_bytes(names[kind])
        made[name] = folder
    return made


@pytest.fixture
def signed(folder, keys):
    assert signing.sign(folder, keys["ours"] / "private.pem") == folder / "model.sig"
    return folder


def test_a_signed_artifact_passes_and_verifies_wherever_it_is(signed, keys):

    moved = signed.rename(signed.with_name("moved"))
    signing.check_signature(moved, keys["ours"] / "public.pem")
    assert (
        "model.sig" not in manifest.read_and_check(moved)["files"]
    )  # by which `verify`, `load` and `Predictor` begin
    assert [path.name for path in moved.parent.iterdir()] == ["moved"]


def test_a_signature_is_for_one_key(signed, keys):
    with pytest.raises(ValueError, match=r"does not hold for .*: another key signed it\. Do not use"):
        signing.check_signature(signed, keys["theirs"] / "public.pem")


def test_what_was_rewritten_with_all_digests_is_found(signed, keys):
    content = manifest.read(signed)
    del content["sha256"]
    (signed / "README.md").write_text("Mine.")
    content["files"] = manifest.file_table(signed)
    manifest.write(signed, content)
    with pytest.raises(ValueError, match=r"files were changed after it was signed\. Do not use"):
        signing.check_signature(signed, keys["ours"] / "public.pem")


@pytest.mark.parametrize("extra", [".gitattributes", ".git/hook", "more.sig"])
def test_a_file_that_was_not_signed_does_not_pass(signed, keys, extra):
    (signed / extra).parent.mkdir(exist_ok=True)
    (signed / extra).write_text("")
    with pytest.raises(ValueError, match="does not belong to it"):
        signing.check_signature(signed, keys["ours"] / "public.pem")


def test_a_damaged_a_foreign_and_a_missing_signature_are_clear_errors(signed, keys, tmp_path):
    path, public = signed / "model.sig", keys["ours"] / "public.pem"
    integrity = path.read_bytes()
    for content in (b"", b"{}", b"[]", integrity[:-40], integrity.replace(b'"sig"', b'"sog"'), b"\xff" * 99):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"The signature of the artifact in .* does not hold"):
            signing.check_signature(signed, public)
    for position in range(0, len(integrity), len(integrity) // 25):
        path.write_bytes(integrity[:position] + bytes([integrity[position] ^ 1]) + integrity[position + 1 :])
        try:
            signing.check_signature(signed, public)
        except ValueError:
            continue
        pytest.fail(f"a signature with another byte at {position} passed")
    with path.open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(ValueError, match="larger than"):
        signing.check_signature(signed, public)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"is not signed: it holds no model\.sig"):
        signing.check_signature(signed, public)


def test_a_damaged_artifact_is_not_signed(folder, keys):
    (folder / "README.md").write_text("another")
    with pytest.raises(ValueError, match=r"README\.md was changed"):
        signing.sign(folder, keys["ours"] / "private.pem")
    assert not (folder / "model.sig").exists()


def test_a_key_that_is_none_is_a_clear_error(signed, keys, tmp_path):
    private, public = keys["ours"] / "private.pem", keys["ours"] / "public.pem"
    with pytest.raises(
        ValueError, match="`private_key` must be a PEM file with an elliptic curve's private key"
    ):
        signing.sign(signed, public)
    with pytest.raises(
        ValueError, match="`public_key` must be a PEM file with an elliptic curve's public key"
    ):
        signing.check_signature(signed, private)
    with pytest.raises(FileNotFoundError, match="`private_key` must be a PEM file, got"):
        signing.sign(signed, tmp_path / "none.pem")


def test_the_command_line_of_the_format_checks_it_too(signed, keys):
    command = Path(sys.executable).parent / "model_signing"
    if not command.exists():
        pytest.skip("the command is elsewhere")
    options = ["--signature", signed / "model.sig", "--public_key", keys["ours"] / "public.pem"]
    options += ["--ignore-paths", signed / "model.sig", "--no-ignore-git-paths"]
    done = subprocess.run([command, "verify", "key", signed, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("without_the_extra")
def test_without_the_extra_the_error_says_what_to_install(folder):
    with pytest.raises(ImportError, match=r'model_signing, OpenSSL\. pip install "l2zoo\[signing\]"'):
        signing.sign(folder, "private.pem")
    with pytest.raises(ImportError, match=r"l2zoo\[signing\]"):
        signing.check_signature(folder, "public.pem")


def test_an_export_over_a_signed_artifact_leaves_no_old_signature(signed, trained):
    from l2zoo.artifacts import export

    export(trained.model, signed, sample=trained.images[:20], formats=[], overwrite=True)
    assert not (signed / "model.sig").exists()
    shutil.rmtree(signed)
