"""Marts to charts to one page."""
