import csv
import io
import os
import urllib.request

import pandas as pd

# Used when no rate service is configured: the treasury's budget rates.
BUDGET_RATES = {"EUR": 1.0, "GBP": 1.17, "SEK": 0.088}


def fetch(url):
    with urllib.request.urlopen(url, timeout=1) as response:
        text = response.read().decode("utf-8")
    return {row["currency"]: float(row["rate_to_eur"]) for row in csv.DictReader(io.StringIO(text))}


def model(dbt, session):
    dbt.config(materialized="table")
    used = [row[0] for row in dbt.ref("stg_orders").project("currency").distinct().order("currency").fetchall()]
    url = os.environ.get("RATES_URL")
    rates = fetch(url) if url else BUDGET_RATES
    return pd.DataFrame({"currency": used, "rate_to_eur": [rates.get(c) for c in used]})
