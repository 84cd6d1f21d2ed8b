"""The monitor's marts as Parquet files, for any warehouse to read as external tables."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from offdag.errors import UsageError, first_line
from offdag.monitor.marts import Marts
from offdag.outputs import remove_outputs, write_output

_FOLDER = "marts"


@dataclass
class Published:
    """What was written.

    Attributes:
        marts: Number of files.
        rows: Rows in them.
        removed: Files of marts that the monitor no longer has.
    """

    marts: int = 0
    rows: int = 0
    removed: int = 0


def publish(marts: Marts, place: str) -> Published:
    """Write each mart to ``<place>/marts/<mart>.parquet``; all are of one run of the monitor.

    Args:
        marts: Held open meanwhile, so that no monitor run changes them.
        place: Folder or fsspec URL. A killed call leaves each file old or new, and another call completes it.

    Raises:
        MonitorError: The monitor did not come to its end.
        UsageError: A file cannot be written.
    """
    marts.monitor_run()
    done, names = Published(), marts.names()
    folder = f"{place.rstrip('/')}/{_FOLDER}"
    with tempfile.TemporaryDirectory(prefix="offdag-marts-") as temporary:
        for name in names:
            file = Path(temporary) / f"{name}.parquet"
            done.rows += marts.write_parquet(name, file)
            try:
                write_output(f"{folder}/{file.name}", file.read_bytes())
            except Exception as error:
                raise _failure(error, f"{folder}/{file.name}") from error
            file.unlink()
            done.marts += 1
    try:
        done.removed = remove_outputs(folder, r"(dim|fct)_\w+\.parquet", {f"{name}.parquet" for name in names})
    except Exception as error:
        raise _failure(error, folder) from error
    return done


def _failure(error: Exception, place: str) -> UsageError:
    # Each store's library has errors of its own.
    what = getattr(error, "strerror", None) or first_line(error)
    return UsageError(f"the marts cannot be written: {what}", place, "offdag publish published")
