"""graphgrad.files: whatever goes wrong, the earlier file survives and nothing is left behind."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from graphgrad.errors import FileError
from graphgrad.files import write_atomically


def test_writes_and_overwrites(tmp_path):
    path = tmp_path / "a.svg"
    write_atomically(path, b"one")
    write_atomically(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.svg"]


def opener_of_full_files(fail):
    def open_full(path, mode):
        file = open(path, mode, buffering=0)  # noqa: SIM115

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, data):
                file.write(data[:2])
                fail()

        return Full()

    return open_full


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_failure_leaves_the_earlier_file_alone(tmp_path, monkeypatch, failing, failure):
    path = tmp_path / "a.svg"
    path.write_bytes(b"earlier")

    def fail(*args, **options):
        raise failure

    if failing == "write":
        monkeypatch.setattr("graphgrad.files.open", opener_of_full_files(fail), raising=False)
    else:
        monkeypatch.setattr(f"graphgrad.files.os.{failing}", fail)
    expected = FileError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_atomically(path, b"later")
    monkeypatch.undo()
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["a.svg"]
    if expected is FileError:
        assert str(path) in str(caught.value)
        assert "space" in caught.value.remedy


def test_missing_folder_and_folder_as_target(tmp_path):
    with pytest.raises(FileError, match="create the folder"):
        write_atomically(tmp_path / "no" / "a.svg", b"")
    with pytest.raises(FileError, match="not a folder"):
        write_atomically(tmp_path, b"")


def test_follows_links_and_keeps_permissions(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"earlier")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomically(link, b"later")
    assert link.is_symlink()
    assert real.read_bytes() == b"later"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_new_file_has_the_permissions_of_the_umask(tmp_path):
    earlier = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_device_is_written_straight():
    write_atomically(os.devnull, b"gone")
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


def test_long_names_work(tmp_path):
    path = tmp_path / ("ŷ" * 120)
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"
