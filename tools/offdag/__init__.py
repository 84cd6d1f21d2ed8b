"""offdag: the monitor for dbt builds that stays out of their DAG."""

__version__ = "0.2.0"
