"""What the monitor's own dbt inherits: everything but dbt's variables and offdag's secrets."""

from __future__ import annotations

from datetime import datetime

from offdag.monitor.build import _environ, _given
from offdag.settings import Settings


def test_proxies_certificates_and_libraries_are_passed_on() -> None:
    kept = {
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "SSL_CERT_DIR": "/certs",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
        "LD_LIBRARY_PATH": "/lib",
        "AWS_PROFILE": "x",
    }
    dropped = {
        "DBT_TARGET": "ci",
        "DBT_TARGET_PATH": "/t",
        "DBT_ENV_SECRET_X": "s3cret",
        "OFFDAG_SLACK_BOT_TOKEN": "xoxb-1",
        "COPY_OF_THE_TOKEN": "xoxb-1",
    }
    settings = Settings.load({}, {**kept, **dropped})
    given = _given(settings, observed=[])
    environ = _environ(settings, given, datetime(2026, 1, 31), all_tests=False)
    assert kept.items() <= environ.items()
    assert not {*dropped} & {*environ}
    assert environ["OFFDAG_AS_OF"] == "2026-01-31 00:00:00.000000"
    assert environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
