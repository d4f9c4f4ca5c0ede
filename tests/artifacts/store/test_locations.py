"""An artifact that is replaced while it is read is the old one or the new one."""

from pathlib import Path

import pytest

from l2zoo.artifacts import manifest
from l2zoo.artifacts.store.locations import reads_whole
from l2zoo.utils.storage.folders import whole_folder


def write(folder: Path, word: str) -> None:
    with whole_folder(folder, overwrite=True, mark=manifest.FILE) as (fresh, _):
        (fresh / "a").write_text(word)
        (fresh / manifest.FILE).write_text(word)


@pytest.mark.parametrize("fails", [True, False])
def test_who_reads_while_the_artifact_is_replaced_reads_again(fails: bool, tmp_path: Path) -> None:
    folder, tries = tmp_path / "artifact", []

    @reads_whole
    def read(name_or_folder: Path, *, times: int) -> tuple[str, str]:
        tries.append(name_or_folder)
        first = (folder / manifest.FILE).read_text()
        if len(tries) < times:
            write(folder, f"{len(tries)}")
            if fails:
                raise ValueError("a was changed")
        return first, (folder / "a").read_text()

    write(folder, "0")
    assert read(folder, times=3) == ("2", "2")
    assert tries == [folder] * 3


def test_what_is_wrong_with_an_artifact_is_said_at_once(tmp_path: Path) -> None:
    tries = []

    @reads_whole
    def read(folder: Path) -> None:
        tries.append(folder)
        raise ValueError("a was changed")

    write(tmp_path / "artifact", "0")
    for folder in (tmp_path / "artifact", tmp_path / "none", 3):
        with pytest.raises(ValueError, match="a was changed"):
            read(folder)  # type: ignore[arg-type]
    assert len(tries) == 3
