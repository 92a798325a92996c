"""Writing files so that a reader never finds half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from graphgrad.errors import FileError


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file completely or not at all.

    The data go to a temporary file in the same folder, which then takes the name: whatever goes
    wrong on the way (a full disk, Ctrl-C), an earlier file of that name stays as it was. A symbolic
    link is followed and permissions are kept. A device or a pipe is written straight.
    `FileError` where the system refuses.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            target.write_bytes(data)
        else:
            _replace(target, data, mode)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"cannot write {os.fspath(path)}: {reason}", remedy=_remedy(error)
        ) from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Return what a text file holds; FileError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8 text", remedy="save it as UTF-8") from None
    except OSError as error:
        reason, remedy = error.strerror or str(error), _reading_remedy(error, path)
        raise FileError(f"{path} cannot be read: {reason}", remedy=remedy) from None
    except ValueError as error:  # a name that no file can have
        raise FileError(f"{path!s} cannot be read: {error}", remedy="check the path") from None


def _reading_remedy(error: OSError, path: str | os.PathLike[str]) -> str:
    match error:
        case PermissionError():
            return f"allow yourself to read it: chmod u+r {path}"
        case IsADirectoryError():
            return "name a file, not a folder"
        case _:
            return "check the path"


def _mode(target: Path) -> int | None:
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return None


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:  # permissions: as the umask says
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _remedy(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "create the folder first"
        case IsADirectoryError():
            return "name a file, not a folder"
        case PermissionError():
            return "choose a folder that you may write to"
        case _:
            return "free some space, or choose another folder"
