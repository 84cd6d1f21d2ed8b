"""dbt-artifacts-parser's models as msgspec types: the parser knows what each schema version holds, msgspec reads it five times as fast."""

from __future__ import annotations

import functools
import importlib
import operator
import types
import typing
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

if typing.TYPE_CHECKING:
    from pydantic import BaseModel

_UNIONS = (typing.Union, types.UnionType)


def parser_module(kind: str, version: int) -> types.ModuleType:
    """The one module of a version: the parser's own entry point imports every version of every artifact, which takes seconds.

    Args:
        kind: Such as run_results.
        version: Schema version.

    Raises:
        ImportError: The parser does not know the version.
    """
    return importlib.import_module(f"dbt_artifacts_parser.parsers.{kind}.{kind}_v{version}")


@functools.cache
def msgspec_type(annotation: Any) -> Any:
    """The msgspec type of a model's annotation, nested ones too; keys that the model does not know are ignored.

    Texts stay texts: SQL interprets statuses, where an unknown one is neither success nor failure, and instants have several forms.
    """
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return _struct((annotation,))
    if isinstance(annotation, type) and issubclass(annotation, (Enum, datetime)):
        return str
    arguments = typing.get_args(annotation)
    if not arguments:
        return annotation
    if typing.get_origin(annotation) in _UNIONS:
        models = tuple(a for a in arguments if hasattr(a, "model_fields"))
        others = {msgspec_type(a): None for a in arguments if a not in models}
        # Checked sources have one model, sources that could not be checked another; the JSON does not name it.
        return functools.reduce(operator.or_, (*([_struct(models)] if models else []), *others))
    return typing.get_origin(annotation)[tuple(msgspec_type(a) for a in arguments)]


def _struct(models: tuple[type[BaseModel], ...]) -> type[msgspec.Struct]:
    """One struct with the fields of all models; a field that is optional in one of them is optional."""
    annotations: dict[str, list[Any]] = {}
    for model in models:
        for name, field in model.model_fields.items():
            annotations.setdefault(field.alias or name, []).append(field)
    required, optional = [], []
    for name, fields in annotations.items():
        kinds = functools.reduce(operator.or_, {msgspec_type(f.annotation): None for f in fields})
        if len(fields) == len(models) and all(f.is_required() for f in fields):
            required.append((name, kinds))
        else:
            optional.append((name, kinds | None, None))
    return msgspec.defstruct(models[0].__name__, [*required, *optional], gc=False)
