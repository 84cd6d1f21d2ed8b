"""The report: charts of the marts on one page."""
