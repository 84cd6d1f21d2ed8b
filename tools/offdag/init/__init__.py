"""A stranger's project: what to watch, proposed from its artifacts."""
