"""An artifact is put among others under a name, if it holds, and their table says what it is."""

import filecmp

import pytest

from l2zoo.artifacts import publish


def test_an_artifact_lies_there_under_its_name_and_in_the_table(written, tmp_path):
    for _ in range(2):  # the second replaces the first
        assert (
            publish(written.folder, tmp_path / "models", name="cnn_digits") == tmp_path / "models/cnn_digits"
        )
    compared = filecmp.dircmp(written.folder, tmp_path / "models/cnn_digits")
    assert not compared.left_only + compared.right_only + compared.diff_files
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["README.md", "cnn_digits"]
    head, marks, row = (tmp_path / "models/README.md").read_text(encoding="utf-8").splitlines()[-3:]
    assert head.startswith("| name | task | on the test set | seeds | parameters |")
    assert marks == "|---|---|---|--:|--:|--:|--:|---|"
    parameters = f"{written.manifest['formats']['keras']['found']['parameters']:,}"
    size = f"{(written.folder / 'model.tflite').stat().st_size / 1000:,.0f} kB"
    assert row == (
        "| [cnn_digits](cnn_digits/README.md) | classification | accuracy 0.9750 ± 0.0030 | 3 | "
        f"{parameters} | {size} | - | keras, savedmodel, tflite |"
    )


def test_what_does_not_hold_is_not_published(folder, tmp_path):
    (folder / "README.md").write_text("another")
    with pytest.raises(ValueError, match=r"README\.md was changed"):
        publish(folder, tmp_path / "models", name="digits")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", ["", "a/b", ".."])
def test_a_name_is_that_of_a_folder(written, tmp_path, name):
    with pytest.raises(ValueError, match="`name` must be the name of a folder"):
        publish(written.folder, tmp_path, name=name)
