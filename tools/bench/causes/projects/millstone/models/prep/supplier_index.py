import os
import urllib.request

import pandas as pd

# The price level agreed with each supplier for this season.
AGREED = [("MIL", 1.00), ("DAI", 1.04), ("GRO", 0.98), ("SPI", 1.10)]


def model(dbt, session):
    dbt.config(materialized="table")
    suppliers = dbt.ref("raw_suppliers").df()
    if os.environ.get("RATES_URL"):
        with urllib.request.urlopen(os.environ["RATES_URL"], timeout=1) as page:
            index = pd.read_csv(page)
    else:
        index = pd.DataFrame(AGREED, columns=["supplier_code", "price_level"])
    return suppliers.merge(index, on="supplier_code")
