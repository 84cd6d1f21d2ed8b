"""Starts coverage in each Python process of a measured test run, but in those that only run dbt: it would take them twice as long.

`make test COVERAGE=1` puts this folder on PYTHONPATH, and Python imports the module by its name.
"""

import os
import sys

if "COVERAGE_PROCESS_START" in os.environ:
    words = [os.path.basename(word) for word in sys.orig_argv[:3]]  # noqa: PTH119 # pathlib would slow each start
    if not {"dbt", "offdag.monitor.planner"} & set(words):
        import coverage

        coverage.process_startup()
