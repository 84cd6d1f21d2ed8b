import os
from urllib.request import urlopen

import pandas as pd


def model(dbt, session):
    dbt.config(materialized="table")
    url = os.environ.get("RATES_URL")
    if url:
        with urlopen(url, timeout=1) as answer:
            return pd.read_csv(answer)
    # The contract's surcharges, valid until the carrier publishes new ones.
    return pd.DataFrame({"service": ["standard", "express"], "surcharge": [0.06, 0.09]})
