"""What offdag costs, measured: `make bench`."""
