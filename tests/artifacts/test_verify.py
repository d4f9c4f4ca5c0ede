"""`verify`: damage is found before a file is opened, and a file that answers otherwise after that."""

import importlib.metadata
import io
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.artifacts import manifest, verify
from tests.artifacts.folders import rewrite


def test_an_artifact_verifies_where_it_was_moved_to(folder, written):
    found = verify(folder)
    assert found.folder == folder
    assert found.manifest == written.manifest
    assert found.parity.keys() == {"keras", "savedmodel", "tflite"}
    for name, figures in found.parity.items():
        assert figures.images == 32
        assert figures.max_abs_diff < 1e-6
        assert figures.limits == written.parity[name].limits == {"max_abs_diff": 1e-4}
    assert str(found).startswith(f"{folder}: digits_cnn, 9 files, ")


def test_an_artifact_that_lost_its_empty_folders_verifies(folder):
    """As git drops them."""
    (folder / "saved_model" / "1" / "assets").rmdir()
    assert verify(folder).parity["savedmodel"].holds


@pytest.mark.usefixtures("nothing_opens")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": ["keras"]}, r"`versions` in the manifest must be texts by name, got \['keras'\]"),
        ({"versions": {"keras": 3}}, "`versions` in the manifest must be texts by name"),
        ({"formats": None}, "`formats` in manifest.json must name the formats"),
        ({"formats": {}}, "`formats` in manifest.json must name the formats"),
        ({"formats": {"coreml": {}}}, r"knows the formats .*, the artifact has \['coreml'\]"),
        ({"formats": {"tflite": {}}}, "gives no limits for tflite, got None"),
        ({"formats": {"tflite": None}}, "gives no limits for tflite, got None"),
        ({"formats": {"tflite": {"verify": {}}}}, "gives no limits for tflite, got {}"),
        ({"formats": {"tflite": {"verify": {"max_abs_diff": "x"}}}}, "gives no limits for tflite"),
        ({"formats": {"tflite": {"verify": {"max_abs_diff": "nan"}}}}, "gives no limits for tflite"),
        ({"formats": {"tflite": {"verify": {"beauty": 1}}}}, "gives no limits for tflite"),
    ],
)
def test_a_manifest_that_lies_is_a_clear_error(folder, changes, words):
    rewrite(folder, **changes)
    with pytest.raises(ValueError, match=words):
        verify(folder)


@pytest.mark.usefixtures("nothing_opens")
def test_a_format_without_its_files_is_found(folder):
    shutil.rmtree(folder / "saved_model")
    rewrite(folder)
    with pytest.raises(ValueError, match=r"has no saved_model/1, which manifest\.json speaks of"):
        verify(folder)


@pytest.mark.usefixtures("nothing_opens")
def test_an_artifact_without_a_sample_is_refused(folder):
    (folder / "sample.npz").unlink()
    rewrite(folder)
    with pytest.raises(ValueError, match=r"has no sample\.npz to compare on"):
        verify(folder)


def test_a_file_that_answers_otherwise_is_found_though_all_digests_fit(folder):
    with np.load(folder / "sample.npz") as stored:
        arrays = dict(stored)
    arrays["expected_output_0"][7, 3] += 0.125
    np.savez(folder / "sample.npz", **arrays)
    rewrite(folder)
    with pytest.raises(
        ValueError,
        match=r"tflite does not answer like .*worst at image 7\..*by the versions that are here",
    ):
        verify(folder, trusted=True)


@pytest.fixture
def of_another_time(folder):
    """The artifact as if another Keras and another NumPy had written it; says which are installed here."""
    versions = manifest.read(folder)["versions"]
    assert versions["keras"] == importlib.metadata.version("keras")
    rewrite(folder, versions=versions | {"keras": "3.0.1", "numpy": "1.0.0"})
    return folder, f"written with keras 3.0.1 and numpy 1.0.0, here {keras.__version__} and {np.__version__}"


def test_versions_that_differ_are_said_when_everything_holds(of_another_time, written):
    folder, words = of_another_time
    found = verify(folder)
    assert found.versions == {"keras": ("3.0.1", keras.__version__), "numpy": ("1.0.0", np.__version__)}
    assert str(found).splitlines()[-1] == f"W{words[1:]}."
    assert verify(written.folder).versions == {}
    assert "ritten with" not in str(verify(written.folder))


def test_versions_that_differ_are_named_when_a_file_answers_otherwise(of_another_time):
    folder, words = of_another_time
    with np.load(folder / "sample.npz") as stored:
        arrays = dict(stored)
    arrays["expected_output_0"][7, 3] += 0.125
    np.savez(folder / "sample.npz", **arrays)
    rewrite(folder)
    with pytest.raises(ValueError, match=rf"worst at image 7\. .*; {re.escape(words)}\. Install those"):
        verify(folder, trusted=True)


def test_a_broken_file_under_a_digest_that_fits_is_a_clear_error(folder):
    (folder / "model.keras").write_bytes(b"PK nonsense")
    rewrite(folder)
    with pytest.raises(ValueError, match=r"model\.keras cannot be loaded"):
        verify(folder, trusted=True)


def test_pickled_objects_in_the_sample_are_not_loaded(folder):
    content = io.BytesIO()
    np.savez(content, images=np.array([{}], dtype=object), expected_output_0=np.zeros((1, 10)))
    (folder / "sample.npz").write_bytes(content.getvalue())
    rewrite(folder)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        verify(folder, trusted=True)


def test_a_folder_without_an_artifact_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be an artifact's folder with a manifest\.json in it"):
        verify(tmp_path)


def test_a_quantised_file_must_stay_as_close_as_it_was(small_files, tmp_path):
    folder = Path(shutil.copytree(small_files.folder, tmp_path / "copy"))
    found = verify(folder)
    for name in ("tflite_dynamic", "tflite_int8"):
        limit = found.parity[name].limits["mean_abs_diff"]
        assert found.parity[name].mean_abs_diff == pytest.approx((limit - 1e-6) / 2)
    assert found.parity["tflite_fp16"].limits == {"max_abs_diff": 1e-2}
    formats = manifest.read(folder)["formats"]
    formats["tflite_int8"]["verify"]["mean_abs_diff"] /= 4
    rewrite(folder, formats=formats)
    with pytest.raises(
        ValueError, match=r"^tflite_int8 does not answer like .*the mean absolute difference is "
    ):
        verify(folder)
