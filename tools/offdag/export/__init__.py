"""What offdag has, for other warehouses: the history in Postgres, the marts as Parquet files."""
