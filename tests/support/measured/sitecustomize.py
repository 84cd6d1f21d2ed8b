"""Starts coverage in each Python process of a measured test run, but in those that only run dbt: it would take them twice as long.

`make test COVERAGE=1` puts this folder on PYTHONPATH, and Python imports the module by its name. The variable is none of coverage's own, by
which it would start in each process.
"""

import os
import sys

if "MEASURED_BY" in os.environ:
    words = [os.path.basename(word) for word in sys.orig_argv[:3]]  # noqa: PTH119 # pathlib would slow each start
    if not {"dbt", "offdag.monitor.planner"} & set(words):
        import coverage

        os.environ["COVERAGE_PROCESS_START"] = os.environ["MEASURED_BY"]
        coverage.process_startup()
        del os.environ["COVERAGE_PROCESS_START"]
