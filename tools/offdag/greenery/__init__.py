"""The raw data of the plant shop: a generator of CSV files and a loader into a warehouse."""
