"""``python -m offdag``."""

from offdag.cli import main

main()
