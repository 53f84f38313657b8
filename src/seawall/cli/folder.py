"""Checks a folder that was named on the command line."""

from __future__ import annotations

from pathlib import Path

from seawall.errors import OperatorError


def readable_folder(option: str, folder: Path | None) -> Path | None:
    """The folder, absolute; None when none was named.

    Raises:
        OperatorError: it is not there, or not a folder.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        fault = "is not a folder" if folder.exists() else "there is no such folder"
        raise OperatorError(option, f"{folder}: {fault}", "Name a folder of documents")
    return folder.resolve()
