"""Credentials and values of rows go, the diagnosis stays."""

from __future__ import annotations

import time

import pytest

from offdag.dbt.redaction import redacted, secret_values, without_values

SECRET = "hunter2Xy9"


@pytest.mark.parametrize(
    "text",
    [
        f"password: {SECRET}",
        f"password={SECRET} was refused",
        f"Password = '{SECRET}'",
        f'"password": "{SECRET} {SECRET}"',
        f"PGPASSWORD={SECRET}",
        f"pwd={SECRET};Server=x",
        f"UID=sa;PWD={SECRET}",
        f"pass: {SECRET}",
        f"passwd={SECRET}",
        f"passphrase={SECRET}",
        f"DBT_PASSWORD_PROD: {SECRET}",
        f"secret => {SECRET}",
        f"client_secret={SECRET}&grant=x",
        f"client-secret: {SECRET}",
        f"api_key: {SECRET} expired",
        f"apikey={SECRET}",
        f"x-api-key: {SECRET}",
        f"AccountKey={SECRET};EndpointSuffix=x",
        f"aws_access_key_id={SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"private_key: {SECRET}",
        f"https://host/x?token={SECRET}",
        f"https://host/x?sig=1&sas_token={SECRET}",
        f"token: {SECRET}",
        f"dbt build --password {SECRET}",
        f"dbt build --snowflake-token '{SECRET}'",
        f"https://user:{SECRET}@host/x",
        f"postgres://user:{SECRET}@db:5432/x",
        f"postgresql+psycopg2://user:{SECRET}/{SECRET}@db/x",
        f"https://{SECRET}@host/x",
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"bearer {SECRET}",
        f"create user x password '{SECRET}'",
        f'alter user x identified by "{SECRET}"',
        f"alter user x identified by {SECRET}",
        f"DB_PASS={SECRET}",
        f"db_pass: '{SECRET}'",
        f"dbt build --pass {SECRET}",
        f'password: "{SECRET} cut',
        f"Driver=x;PWD={{a;{SECRET}}}",
        f"https://host/x?sig={SECRET}",
        f"https://host/x?X-Goog-Signature={SECRET}",
        f"xoxb-{SECRET}",
        f"https://hooks.slack.com/services/T0/B0/{SECRET}",
        f"ghp_{SECRET}abcdefghij",
        "AKIAHUNTER2XY9ABCDEF",
        f"eyJhbGciOiJ.eyJ{SECRET}abc.{SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_credential_is_hidden_in_every_form(text: str) -> None:
    assert SECRET.lower() not in redacted(text).lower()
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        f"Bad int64 value: {SECRET}",
        f'invalid input syntax for type integer: "{SECRET}"',
        f"Key (email)=({SECRET}) already exists.",
        f"Failing row contains ({SECRET}, null).",
        f"Numeric value '{SECRET}' is not recognized",
        f"Numeric value 'O'{SECRET}' is not recognized",
        f"Could not convert string '{SECRET}' to INT32",
        f'Duplicate key "id: {SECRET}" violates primary key constraint',
        f'The value \'{SECRET}\' of the type "STRING" cannot be cast to "INT"',
    ],
)
def test_a_value_of_a_row_is_hidden(text: str) -> None:
    assert SECRET not in redacted(text)


# Names of columns, tables and models, which a reader needs.
NAMES = (
    "Object 'ANALYTICS.MARTS.ORDERS' does not exist",
    "invalid identifier 'ORDER_ID'",
    'relation "main.orders" does not exist',
    'column "x" does not exist\nLINE 4: select x from "db"."main"."orders"',
    'Referenced column "distance" not found! Candidate bindings: "driven", "day"',
    "Table with name orders does not exist! Did you mean 'order_items'?",
    "Got 3 results, configured to fail if != 0",
    "No function matches the given name and argument types 'round(VARCHAR, INTEGER)'.",
    'column reference "id" is ambiguous',
    'syntax error at or near "from"',
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"date field value out of range: '{SECRET}'", "date field value out of range: ***"),
        (f"it doesn't accept '{SECRET}' or 'O''{SECRET}' here", "it doesn't accept ***"),
        (f"Key (id)=({SECRET}) already exists", "Key (id)=*** already exists"),
        (f'Could not parse string "{SECRET}" according to "%Y"\n{SECRET}\n  ^\nError', "Could not parse string ***"),
        (f"Could not convert string 'Ann O'Neil {SECRET}' to INT32", "Could not convert string ***"),
        (
            f'invalid input syntax for type json\nDETAIL:  Token "{SECRET}"',
            "invalid input syntax for type json\nDETAIL: ***",
        ),
        (f'invalid input syntax for type integer: "Bob\n{SECRET}"', "invalid input syntax for type integer: ***"),
        (f'Malformed JSON at byte 0.  Input: "{{"a": {SECRET}}}"', "Malformed JSON at byte 0.  Input: ***"),
        (f"CSV Error on Line: 2\nOriginal Line: zz,{SECRET}", "CSV Error on Line: 2\nOriginal Line: ***"),
        (f"Overflow in multiplication of INT32 ({SECRET} * 12345)!", "Overflow in multiplication of INT32 (***"),
        ("Type INT64 with value 24000000000 can't be cast", "Type INT64 with value ***"),
        (f"Invalid Input Error: customer {SECRET}", "Invalid Input Error: ***"),
        (f"JSON path error near '{SECRET}'", "JSON path error near ***"),
        (f'string is not a valid identifier: "{SECRET}"', "string is not a valid identifier: ***"),
        ("Date out of range: 2020-45-1", "Date out of range: ***"),
        ("[CAST_OVERFLOW] The value 3000000000L of the type", "[CAST_OVERFLOW] The value ***"),
        ("division by zero: 5 / 0", "division by zero: ***"),
        ("Row Values: [5, x]", "Row Values: ***"),
        ("Conversion Error: 123456.78 is no date", "Conversion Error: *** is no date"),
        *((text, text) for text in NAMES),
    ],
)
def test_quoted_text_in_a_message_is_a_name_or_hidden(text: str, shown: str) -> None:
    assert without_values(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "expected token 'end of print statement', got 'integer'",
        "unexpected token: SELECT",
        'syntax error at or near "from"',
        'password authentication failed for user "dbt"',
        "Got 3 results, configured to fail if != 0",
        "Done. PASS=10 WARN=0 ERROR=1 SKIP=0 TOTAL=11",
        "1 of 3 PASS not_null_orders_id [PASS in 0.10s]",
        'relation "main.orders" does not exist',
        'column "token_count" does not exist',
        "Table with name orders does not exist! Did you mean order_items?",
        "http://127.0.0.1:8080/a@b",
        "could not connect to host:5432",
        "the secret ingredient is missing",
        "No matching signature for operator = for argument types: INT64, STRING. Supported signature: ANY = ANY",
        "Failure in test not_null_tokens: 5 rows",
        "access_token = 5 is ambiguous",
    ],
)
def test_the_diagnosis_stays(text: str) -> None:
    assert redacted(text) == text


def test_known_values_are_hidden_wherever_they_occur() -> None:
    environ = {
        "DBT_ENV_SECRET_X": "plain-words",
        "MY_TOKEN": "abc",
        "SNOWFLAKE_PASSWORD": "another one",
        "HOME": "/home",
        "DB_PASS": "hunter2",
        "TOKEN_TYPE": "bearer-token",
        "SECRETS_ENV": "production",
        "IS_TOKEN": "true",
    }
    secrets = secret_values(environ, "xoxb")
    assert secrets == ("another one", "plain-words", "hunter2", "xoxb")
    assert redacted("plain-words and another one in /home", secrets) == "*** and *** in /home"


def test_long_lines_take_no_longer_than_they_are_long() -> None:
    def seconds(length: int) -> float:
        start = time.process_time()
        for text in ("a" * length, "a_" * length, "://" * length, "token " * length, "password=" * length):
            redacted(text)
        return time.process_time() - start

    seconds(1000)
    short, long = seconds(20_000), seconds(200_000)
    # Ten times the length; a quadratic pattern would take a hundred times as long.
    assert long < max(short, 0.01) * 40
