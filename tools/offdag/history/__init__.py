"""The append-only history: the only code that knows the paths and schemas of its files and writes them."""
