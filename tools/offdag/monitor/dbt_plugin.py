"""A plugin of dbt-duckdb, for `dbt build` on the monitor project by hand: an empty history stands where there is none yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from offdag.settings import process_environ


class Plugin(BasePlugin):
    """Named in the monitor's profiles.yml; `offdag monitor` makes both places by itself before it starts dbt."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Create the database's folder, and a local history that does not exist."""
        if self.creds:
            Path(self.creds.path).parent.mkdir(parents=True, exist_ok=True)
        # Not from the profile: dbt would parse all again for another history.
        history = process_environ().get("OFFDAG_HISTORY", ".offdag/history")
        if "://" not in history and not (Path(history) / "version").is_file():
            from dbt.flags import get_flags

            from offdag.collect.observed_tables import declare_observed_tables
            from offdag.config_folder import ConfigFolder
            from offdag.history.history import History

            project = Path(get_flags().PROJECT_DIR)  # type: ignore[no-untyped-call]
            declare_observed_tables(History(history), ConfigFolder(None, project))
