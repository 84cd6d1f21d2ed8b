"""dbt's artifacts to typed rows: the only code in offdag that reads artifact JSON."""
