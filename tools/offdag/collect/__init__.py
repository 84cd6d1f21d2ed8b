"""Artifacts to history: find them, judge each one, keep it, and write its rows."""
