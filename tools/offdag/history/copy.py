"""A copy of a history, for reading that must not write to it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from offdag.errors import HistoryError


def copy_history(history: str, folder: Path) -> bool:
    """Copy a local history; files never change under their names, so they are linked where the disk allows it.

    Args:
        history: Folder or URL.
        folder: Does not exist yet.

    Returns:
        False where there is no history, or where it is on an object store.

    Raises:
        HistoryError: It cannot be read.
    """
    if "://" in history or not Path(history).is_dir():
        return False
    try:
        shutil.copytree(history, folder, copy_function=_link)
    except (OSError, shutil.Error) as error:
        raise HistoryError(f"the history cannot be read: {error}", history, f"ls {history}") from error
    return True


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
