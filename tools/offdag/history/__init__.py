"""The append-only files that are the truth: the only code that knows their paths and schemas and writes them."""
