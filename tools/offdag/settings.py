"""One frozen object made from flags and environment; nothing else in offdag reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from offdag.clock import utc_now
from offdag.config_folder import ConfigFolder
from offdag.errors import UsageError
from offdag.origin import Origin

if TYPE_CHECKING:
    from offdag.duckdb_files import LockWait

# Globbing over the Parquet files breaks on these in the history's own path.
_BREAKS_GLOBBING = re.compile(r"[*?\[\]']|(^|/)[^/=]+=[^/]*(/|$)")

# What comes after these names is the name of one of several, as in OFFDAG_TEAMS_WEBHOOK_URL_OPS for the channel teams:ops.
SERVICE_VARIABLES = {
    "pagerduty": "OFFDAG_PAGERDUTY_ROUTING_KEY",
    "opsgenie": "OFFDAG_OPSGENIE_API_KEY",
    "teams": "OFFDAG_TEAMS_WEBHOOK_URL",
    "discord": "OFFDAG_DISCORD_WEBHOOK_URL",
    "google_chat": "OFFDAG_GOOGLE_CHAT_WEBHOOK_URL",
    "apprise": "OFFDAG_APPRISE_URL",
    "github": "OFFDAG_GITHUB_TOKEN",
    "gitlab": "OFFDAG_GITLAB_TOKEN",
}
_SERVICE_VARIABLE = re.compile(f"({'|'.join(SERVICE_VARIABLES.values())})(_[A-Z0-9_]+)?", re.IGNORECASE)

# fsspec can open these, but they cannot hold files that several processes write.
_NOT_STORES = frozenset(
    {"zip", "tar", "github", "memory", "http", "https", "data", "simplecache", "filecache", "reference"}
)


@dataclass(frozen=True)
class Settings:
    """Everything that a verb may need.

    Attributes:
        history: Folder or fsspec URL of the history.
        project: dbt project to record; None to find it in the artifacts.
        environment: Environment to record, such as prod; None to find it in the artifacts.
        monitor_project_dir: The dbt project that holds the rules.
        config: The user's own folder of seeds, vars and models, over that project.
        monitor_database: Its DuckDB file.
        report_path: HTML file that ``report`` writes: a path, or an fsspec URL.
        report_url: Where people open the report, for the links of messages; None without one.
        as_of: Naive UTC; None for now.
        lock_timeout: Longest wait for a locked database, in seconds.
        memory_limit: What DuckDB may take while the monitor is built, such as 300MB.
        job_id: Groups the commands of one job; None to make a new one.
        slack_token: Bot token; never shown.
        slack_webhook: Incoming webhook URL; never shown.
        slack_channel: Channel of routes and incidents that name none; None for the monitor project's.
        alerting_environments: Environments whose problems become incidents, separated by commas; None for the monitor project's.
        slack_api_url: Base URL of Slack's Web API.
        webhook: URL that gets each message as JSON; never shown.
        webhook_answer: Text that its answer must contain; None for any.
        webhook_secret: Signs what it receives; never shown.
        services: Keys and URLs of the services that routes may name, by variable; never shown.
        pagerduty_url: Address of PagerDuty's Events API.
        opsgenie_url: Address of Opsgenie's API.
        heartbeat: URL that is called after each monitor run; never shown.
        dbt_platform_url: Address of dbt platform's API.
        dbt_platform_token: Its service token; never shown.
        review_schema: Schema of a review; None for one by the number of the pull request.
        github_api_url: Address of GitHub's API.
        gitlab_api_url: Address of GitLab's API.
        gitlab_token: Writes the comment of a review, and issues, on GitLab; never shown.
        github_token: The same on GitHub.
        github_summary: File that GitHub shows as the job's summary; None elsewhere.
        github_workspace: Folder of GitHub's checkout; None elsewhere.
        origin: Where the job runs: commit, branch, actor, link.
        environ: The environment for child processes; never shown.
    """

    history: str
    project: str | None
    environment: str | None
    monitor_project_dir: Path
    config: ConfigFolder
    monitor_database: Path
    report_path: str
    report_url: str | None
    as_of: datetime | None
    lock_timeout: float
    memory_limit: str
    job_id: str | None
    slack_token: str | None = field(repr=False)
    slack_webhook: str | None = field(repr=False)
    slack_channel: str | None
    alerting_environments: str | None
    slack_api_url: str
    webhook: str | None = field(repr=False)
    webhook_answer: str | None
    webhook_secret: str | None = field(repr=False)
    services: Mapping[str, str] = field(repr=False)
    pagerduty_url: str
    opsgenie_url: str
    heartbeat: str | None = field(repr=False)
    dbt_platform_url: str
    dbt_platform_token: str | None = field(repr=False)
    review_schema: str | None
    github_api_url: str
    gitlab_api_url: str
    gitlab_token: str | None = field(repr=False)
    github_token: str | None = field(repr=False)
    github_summary: Path | None
    github_workspace: Path | None
    origin: Origin
    environ: Mapping[str, str] = field(repr=False)

    @property
    def now(self) -> datetime:
        """``as_of``, or the current time: naive UTC."""
        return self.as_of or utc_now()

    def at(self, as_of: str) -> Settings:
        """These settings for another instant, given as ISO time.

        Raises:
            UsageError: It is not an ISO time.
        """
        return replace(self, as_of=_parsed_instant(as_of))

    def reporting_to(self, report_path: str) -> Settings:
        """These settings for another HTML file of the report.

        Raises:
            UsageError: It is not an HTML file.
        """
        return replace(self, report_path=_checked_report(report_path))

    def wait_as(self, verb: str) -> LockWait:
        """How a verb waits for a locked database."""
        from offdag.duckdb_files import LockWait

        return LockWait(verb, self.lock_timeout)

    def proxy_for(self, url: str) -> str | None:
        """The proxy that the usual variables (HTTPS_PROXY, NO_PROXY and so on) name for a URL; None for a direct connection."""
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # not in its stubs

        proxies = {
            k.lower().removesuffix("_proxy"): v for k, v in self.environ.items() if k.lower().endswith("_proxy") and v
        }
        parts = urlsplit(url)
        if proxy_bypass_environment(parts.netloc, proxies):
            return None
        return proxies.get(parts.scheme) or proxies.get("all")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be written anywhere."""
        given = (
            self.slack_token,
            self.slack_webhook,
            self.webhook,
            self.webhook_secret,
            self.heartbeat,
            self.dbt_platform_token,
            self.gitlab_token,
            self.github_token,
            *self.services.values(),
        )
        return tuple(secret for secret in given if secret)

    @property
    def dbt_environ(self) -> dict[str, str]:
        """The variables of the user's dbt, which has no use for offdag's own secrets."""
        return {
            name: value
            for name, value in self.environ.items()
            # A user's own variable may have the same value, such as the job's token for private packages.
            if not (name.startswith("OFFDAG_") and value in self.secrets)
        }

    @classmethod
    def load(cls, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        """Build the settings: a flag wins over its environment variable, which wins over the default.

        Args:
            flags: Values by field name; None where a flag was not given.
            environ: Usually ``os.environ``.

        Raises:
            UsageError: A value cannot work.
        """

        def chosen(name: str, variable: str, default: str | None = None) -> str | None:
            value = flags.get(name)
            return str(value) if value is not None else environ.get(variable) or default

        home = Path(".offdag")
        packaged = Path(chosen("monitor_project_dir", "OFFDAG_MONITOR_PROJECT_DIR", "") or _monitor_project())
        return cls(
            history=_checked_history(chosen("history", "OFFDAG_HISTORY", str(home / "history"))),
            project=chosen("project", "OFFDAG_PROJECT"),
            environment=chosen("environment", "OFFDAG_ENVIRONMENT"),
            monitor_project_dir=packaged,
            config=ConfigFolder.found(chosen("config_dir", "OFFDAG_CONFIG_DIR"), packaged),
            monitor_database=Path(
                chosen("monitor_database", "OFFDAG_MONITOR_DATABASE", str(home / "monitor.duckdb")) or ""
            ),
            report_path=_checked_report(chosen("report_path", "OFFDAG_REPORT", str(home / "report.html")) or ""),
            report_url=_checked_url(environ, "OFFDAG_REPORT_URL"),
            as_of=_parsed_instant(chosen("as_of", "OFFDAG_AS_OF")),
            lock_timeout=_parsed_seconds(chosen("lock_timeout", "OFFDAG_LOCK_TIMEOUT", "300") or ""),
            memory_limit=environ.get("OFFDAG_MEMORY_LIMIT") or "300MB",
            job_id=chosen("job_id", "OFFDAG_JOB_ID"),
            slack_token=_checked_token(environ, "OFFDAG_SLACK_BOT_TOKEN"),
            slack_webhook=_checked_url(environ, "OFFDAG_SLACK_WEBHOOK_URL"),
            slack_channel=environ.get("OFFDAG_SLACK_CHANNEL") or None,
            alerting_environments=environ.get("OFFDAG_ALERTING_ENVIRONMENTS") or None,
            slack_api_url=_checked_url(environ, "OFFDAG_SLACK_API_URL") or "https://slack.com/api/",
            webhook=_checked_url(environ, "OFFDAG_WEBHOOK_URL"),
            webhook_answer=environ.get("OFFDAG_WEBHOOK_ANSWER") or None,
            webhook_secret=environ.get("OFFDAG_WEBHOOK_SECRET") or None,
            services=_services(environ),
            pagerduty_url=_checked_url(environ, "OFFDAG_PAGERDUTY_URL") or "https://events.pagerduty.com",
            opsgenie_url=_checked_url(environ, "OFFDAG_OPSGENIE_URL") or "https://api.opsgenie.com",
            heartbeat=_checked_url(environ, "OFFDAG_HEARTBEAT_URL"),
            dbt_platform_url=_checked_url(environ, "OFFDAG_DBT_PLATFORM_URL") or "https://cloud.getdbt.com",
            dbt_platform_token=_checked_token(environ, "OFFDAG_DBT_PLATFORM_TOKEN"),
            review_schema=environ.get("OFFDAG_REVIEW_SCHEMA") or None,
            github_api_url=_checked_url(environ, "GITHUB_API_URL") or "https://api.github.com",
            gitlab_api_url=_checked_url(environ, "CI_API_V4_URL") or "https://gitlab.com/api/v4",
            gitlab_token=_checked_token(environ, "OFFDAG_GITLAB_TOKEN"),
            github_token=_checked_token(environ, "OFFDAG_GITHUB_TOKEN"),
            github_summary=_path(environ, "GITHUB_STEP_SUMMARY"),
            github_workspace=_path(environ, "GITHUB_WORKSPACE"),
            origin=Origin.from_environ(environ),
            environ=dict(environ),
        )


def process_environ() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ


def _monitor_project() -> Path:
    """The monitor project that the package carries; of an editable install, the one of its checkout."""
    packaged = Path(__file__).parent / "monitor_project"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "monitor_project"


def _checked_history(given: str | None) -> str:
    where, example = "--history / OFFDAG_HISTORY", "export OFFDAG_HISTORY=.offdag/history"
    if not given:
        raise UsageError("the history's path is empty", where, example)
    # abfss://container@account.dfs.core.windows.net/ names no credential; key:secret@bucket does.
    if re.match(r"\w+://[^/@]*:[^/@]*@", given) or re.match(r"(?i)(s3|gs|gcs|https?)://[^/@]*@", given):
        # The value is a secret, so it is not shown.
        raise UsageError("the history's URL holds credentials: give them by the store's own variables", where, example)
    history = given.removeprefix("file://")
    scheme = history.partition("://")[0] if "://" in history else None
    if scheme in _NOT_STORES:
        raise UsageError(f"{scheme}:// cannot hold a history: it cannot create a file exclusively", where, example)
    whole = history if scheme else str(Path(history).absolute())
    if _BREAKS_GLOBBING.search(whole):
        raise UsageError(
            "the history's path must not hold * ? [ ] ' or a key=value folder, which break reading its files",
            f"{where} = {whole}",
            example,
        )
    return whole


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    return Path(environ[variable]) if environ.get(variable) else None


def _checked_token(environ: Mapping[str, str], variable: str, example: str = "xoxb-...") -> str | None:
    token = environ.get(variable) or None
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise UsageError("the token holds characters that no token has", variable, f"export {variable}={example}")
    return token


def _checked_url(environ: Mapping[str, str], variable: str) -> str | None:
    url = environ.get(variable) or None
    # Its value may be a secret, so it is not shown.
    if url is not None and not _is_url(url):
        raise UsageError("the URL does not begin with https:// and a host", variable, f"export {variable}=https://...")
    return url


def _services(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable in filter(_SERVICE_VARIABLE.fullmatch, environ):
        is_url = "_WEBHOOK_URL" in variable.upper()
        value = _checked_url(environ, variable) if is_url else _checked_token(environ, variable, "...")
        if value:
            found[variable.upper()] = value
    return found


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isascii()
    except ValueError:
        return False


def _checked_report(text: str) -> str:
    name = text.rpartition("/")[2]
    if not name or name.endswith(".json"):
        raise UsageError(
            "the report is an HTML file, and its data is written beside it as .json",
            f"--out / OFFDAG_REPORT = {text}",
            "offdag report --out report.html",
        )
    return text.removeprefix("file://")


def _parsed_instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return instant.astimezone(timezone.utc).replace(tzinfo=None) if instant.tzinfo else instant
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "as_of is not an ISO time", f"--as-of / OFFDAG_AS_OF = {text}", "offdag monitor --as-of 2026-01-31T06:00:00"
        ) from error


def _parsed_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86400:
        raise UsageError(
            "the lock timeout is not a number of seconds up to a day",
            f"--lock-timeout / OFFDAG_LOCK_TIMEOUT = {text}",
            "offdag monitor --lock-timeout 300",
        )
    return seconds
