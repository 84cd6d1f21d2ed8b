"""The history into tables of a server warehouse."""
