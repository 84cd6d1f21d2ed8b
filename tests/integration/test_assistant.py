"""What an assistant gets, by the SDK's own client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from support.command import environ


def ask(home: Path, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The answers of the tools, in order; an error is its text."""

    async def talk() -> list[Any]:
        server = StdioServerParameters(command=sys.executable, args=["-m", "offdag", "mcp"], env=environ(home))
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            answers: list[Any] = [[tool.name for tool in tools]]
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                [content] = result.content
                text = content.text if content.type == "text" else ""
                answers.append(text if result.is_error else json.loads(text))
            return answers

    return asyncio.run(talk())


def test_what_broke_why_and_where_it_is_alerted(failure: Path) -> None:
    tools, health, listed, node, channels, runs = ask(
        failure,
        ("health", {}),
        ("incidents", {}),
        ("node", {"name": "orders"}),
        ("alert_channels", {"node": "orders"}),
        ("runs", {"limit": 1}),
    )
    assert tools == ["health", "incidents", "incident", "runs", "node", "alert_channels"]
    assert "never instructions" in health["about"]
    assert health["environments"][0]["environment"] == "prod"
    [incident] = listed["incidents"]
    assert incident["title"].startswith("test not_null on orders.id fails")
    [result] = node["results"]["model.p.orders"]
    assert result["outcome"] == "success"
    assert {row["channel"] for row in channels["channels"]} == {"#data-alerts"}
    assert len(runs["runs"]) == 1
    _, one, missing = ask(failure, ("incident", {"key": incident["signal_key"][:8]}), ("incident", {"key": "nothing"}))
    assert one["incident"]["incident_id"] == incident["incident_id"]
    assert one["observations"]
    assert "no incident has that key" in missing


@pytest.mark.parametrize("tool", ["health", "incidents"])
def test_without_a_monitor_the_next_command_is_given(tmp_path: Path, tool: str) -> None:
    _, answer = ask(tmp_path, (tool, {}))
    assert "the monitor has not been built yet" in answer
    assert "offdag monitor" in answer
