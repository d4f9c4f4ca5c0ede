"""Any change in a folder is found, and found before a file is opened for what it holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2zoo.artifacts import manifest


@pytest.fixture
def small(tmp_path):
    (tmp_path / "saved_model" / "1").mkdir(parents=True)
    (tmp_path / "saved_model" / "1" / "graph.pb").write_bytes(b"graph")
    (tmp_path / "model.tflite").write_bytes(b"flat")
    content = {"format_version": manifest.VERSION, "name": "größe", "files": manifest.file_table(tmp_path)}
    manifest.write(tmp_path, content)
    return tmp_path


def check(folder):
    manifest.check_files(folder, manifest.read(folder)["files"])


def rewrite(folder, **changes):
    content = {**manifest.read(folder), **changes}
    del content["sha256"]
    manifest.write(folder, content)


def test_the_table_holds_size_and_sha256_of_every_file(small):
    # The digests were computed with coreutils' sha256sum.
    assert manifest.file_table(small) == {
        "model.tflite": {
            "bytes": 4,
            "sha256": "5dc27af287fa554aa10fec9de8d724a7964572f1ffd24c2b00e1a3a860ce7679",
        },
        "saved_model/1/graph.pb": {
            "bytes": 5,
            "sha256": "eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d",
        },
    }


def test_an_untouched_folder_passes(small):
    check(small)


def test_every_flipped_bit_of_the_manifest_is_found(small):
    path = small / manifest.FILE
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in (0, 5, 7):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :])
            with pytest.raises(ValueError, match=r"manifest\.json (is damaged|was changed)"):
                manifest.read(small)


@given(st.binary(max_size=200))
def test_a_manifest_of_anything_is_a_clear_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / manifest.FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json (is damaged|was changed)"):
        manifest.read(folder)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"sha256": "0"}', "[" * 100_000, '{"a": NaN}'])
def test_json_that_is_no_manifest_is_a_clear_error(tmp_path, text):
    (tmp_path / manifest.FILE).write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json (is damaged|was changed)"):
        manifest.read(tmp_path)


def test_a_manifest_of_many_megabytes_is_not_read(small):
    with (small / manifest.FILE).open("ab") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(ValueError, match="larger than 16777216 bytes"):
        manifest.read(small)


@pytest.mark.parametrize("version", [2, 4])
def test_another_format_version_is_refused(small, version):
    rewrite(small, format_version=version)
    words = f"format version {version}, this l2zoo reads 3. Update l2zoo, or export the model again"
    with pytest.raises(ValueError, match=words):
        manifest.read(small)


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_a_manifest_is_not_found(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"must be an artifact's folder with a manifest\.json"):
        manifest.read(tmp_path / folder)


def test_a_missing_an_additional_and_a_changed_file_are_all_named(small):
    (small / "model.tflite").unlink()
    (small / "extra.py").write_text("import os")
    (small / "saved_model" / "1" / "graph.pb").write_bytes(b"groph")
    with pytest.raises(ValueError, match="is not what was written") as raised:
        check(small)
    for words in (
        "model.tflite is missing",
        "extra.py does not belong",
        "saved_model/1/graph.pb was changed",
    ):
        assert words in str(raised.value)


def test_many_problems_are_counted(small):
    for index in range(9):
        (small / f"extra{index}").write_text("")
    with pytest.raises(ValueError, match=r"extra4 does not belong to it; and 4 more\."):
        check(small)


def test_a_link_is_refused_even_to_the_same_content(small, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "model.tflite"
    (small / "model.tflite").rename(outside)
    (small / "model.tflite").symlink_to(outside)
    with pytest.raises(ValueError, match=r"plain files only, got 'model\.tflite'"):
        check(small)


@pytest.mark.parametrize("path", ["../outside", "/etc/hosts", "a/../../b", "a\\..\\b", "./model.tflite", ""])
def test_a_path_that_leads_out_of_the_folder_is_refused(small, path):
    rewrite(small, files={**manifest.read(small)["files"], path: {"bytes": 0, "sha256": ""}})
    with pytest.raises(ValueError, match="names paths outside its folder"):
        check(small)


@pytest.mark.parametrize("files", [None, [], "files", {"a": None}, {"a": {"bytes": 1}}])
def test_a_file_table_of_another_form_is_refused(small, files):
    rewrite(small, files=files)
    with pytest.raises(ValueError, match="must give bytes and sha256 of every file"):
        check(small)


def test_the_manifest_is_plain_json(small):
    assert json.loads((small / manifest.FILE).read_text(encoding="utf-8"))["name"] == "größe"
