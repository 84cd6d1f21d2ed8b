import os
import urllib.request

import pandas as pd

AGREED_FACTORS = {"north": 1.0, "south": 1.035}


def read_factors(url):
    """The exchange's factors of the price zones, one CSV line each."""
    with urllib.request.urlopen(url, timeout=1) as reply:
        lines = reply.read().decode().splitlines()[1:]
    return {zone: float(factor) for zone, factor in (line.split(",") for line in lines)}


def model(dbt, session):
    dbt.config(materialized="table")
    meters = dbt.ref("base_meters").df()
    zones = meters["price_zone"].dropna().unique()
    url = os.environ.get("RATES_URL")
    factors = read_factors(url) if url else AGREED_FACTORS
    return pd.DataFrame({"price_zone": zones, "price_factor": [factors[z] for z in zones]})
