import os


def model(dbt, session):
    dbt.config(materialized="table")
    bills = dbt.ref("bills", v=1).df()
    customers = dbt.ref("base_customers").df()
    letters = bills.merge(customers, on="customer_id").sort_values("customer_id")
    letters = letters[["customer_id", "customer_name", "bill_month", "kwh", "amount"]]
    # The printing house fetches this file.
    letters.to_csv(os.environ.get("BILL_LETTERS_FILE", "exports/bill_letters.csv"), index=False)
    return letters
