import os
import urllib.request
from io import BytesIO

import pandas as pd


# Month-end rates that the controller approved.
APPROVED = "currency,usd\nUSD,1.0\nEUR,1.09\nGBP,1.27\n"


def read_rates(address):
    if not address:
        return APPROVED.encode()
    with urllib.request.urlopen(address, timeout=1) as response:
        return response.read()


def model(dbt, session):
    dbt.config(materialized="table", tags=["rates"])
    return pd.read_csv(BytesIO(read_rates(os.environ.get("RATES_URL", ""))))
