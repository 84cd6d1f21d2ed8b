"""dbt on the monitor project, and the rows of its marts."""
