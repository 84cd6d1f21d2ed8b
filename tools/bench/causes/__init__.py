"""An open benchmark: faults in real dbt projects, and whether offdag names their causes."""
