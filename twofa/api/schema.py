"""OpenAPI 3.1 by drf-spectacular, from our operations, inputs and shapes.

drf-spectacular's settings are the host's, and so are global. Ours are put in their place only while the document is
generated, which happens once in a process and under a lock.
"""

from __future__ import annotations

import threading
import types
from functools import lru_cache
from typing import Annotated, Any, NotRequired, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from django.utils import translation
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse

from twofa import __version__
from twofa.api import errors, fields, operations, shapes
from twofa.api.descriptions import DESCRIPTION, HEADERS, TAGS, examples_of_problems

_PATH_SCHEMAS = {
    "campaign": {"type": "string", "pattern": r"^[-a-zA-Z0-9_]{1,64}$"},
    "external_id": {"type": "string", "pattern": r"^[A-Za-z0-9._:@+-]{1,128}$"},
    "device_id": {"type": "string", "format": "uuid"},
    "document_id": {"type": "string", "format": "uuid"},
    "redemption_id": {"type": "string", "format": "uuid"},
    "challenge_id": {"type": "string", "format": "uuid"},
}
_PRIMITIVES: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}
_lock = threading.Lock()


class Schema(AutoSchema):
    """Reads a handler's :class:`~twofa.api.operations.Operation` instead of guessing."""

    @property
    def operation(self) -> operations.Operation | None:
        return operations.of(getattr(self.view, self.method.lower(), None))

    @property
    def described(self) -> operations.Operation:
        return cast(operations.Operation, self.operation)

    def is_excluded(self) -> bool:
        return self.operation is None

    def get_operation_id(self) -> str:
        return self.described.id

    def get_summary(self) -> str:
        return self.described.summary

    def get_description(self) -> str:  # type: ignore[override]
        scope = cast(Any, self.view).scope
        told = "" if scope == operations.ANY else f"Scope: `{scope}`."
        return "\n\n".join(text for text in (self.described.description, told) if text)

    def get_tags(self) -> list[str]:
        return [type(self.view).__module__.rpartition(".")[2]]

    def get_request_serializer(self) -> Any:
        example = self.described.request_example
        return OpenApiRequest(self.described.form, examples=_examples(example, request_only=True))

    def get_response_serializers(self) -> Any:
        described = self.described
        answers: dict[Any, Any] = {
            status: OpenApiResponse(
                shape, "No content." if shape is None else "", _examples(described.response_examples.get(status))
            )
            for status, shape in described.responses.items()
        }
        by_status: dict[int, list[str]] = {}
        for code in described.codes(self.method):
            by_status.setdefault(errors.TABLE[code].status, []).append(code)
        for status, codes in sorted(by_status.items()):
            answers[status, errors.MEDIA_TYPE] = OpenApiResponse(
                shapes.Problem, ", ".join(f"`{code}`" for code in codes), examples_of_problems(codes)
            )
        return answers

    def get_override_parameters(self) -> list[Any]:
        path = [
            OpenApiParameter(name, cast(Any, schema), OpenApiParameter.PATH)
            for name, schema in _PATH_SCHEMAS.items()
            if f"{{{name}}}" in self.path
        ]
        query = [
            OpenApiParameter(one.name, cast(Any, one.schema), OpenApiParameter.QUERY, description=one.description)
            for one in self.described.query
        ]
        return [*path, *query, *(header for header in HEADERS if _belongs(header.name, self.method))]

    def map_renderers(self, attribute: str) -> list[Any]:
        return ["application/json"] if attribute == "media_type" else ["json"]


def _belongs(header: str, method: str) -> bool:
    return method == "POST" or not header.startswith("Idempotency")


def _examples(value: dict[str, Any] | None, **options: Any) -> list[OpenApiExample]:
    return [] if value is None else [OpenApiExample("example", value=value, **options)]


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The storefront's key, or whatever else a host's ``TWOFA_API_AUTHENTICATION`` takes in its place."""

    target_class = "twofa.api.authentication.StorefrontAuthentication"
    match_subclasses = True
    name = "storefrontKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A storefront's key, issued by staff; or a participant's access token.",
        }


class ShapeComponent(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A TypedDict of :mod:`twofa.api.shapes` as a component of its name."""

    @classmethod
    def _matches(cls, target: Any) -> bool:
        # By module, so that a host's own TypedDicts in its own schema are none of our business.
        return is_typeddict(target) and target.__module__ == shapes.__name__

    def get_name(self, auto_schema: AutoSchema, direction: Any) -> str:
        name: str = self.target.__name__
        return name

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        hints = get_type_hints(self.target, include_extras=True)
        optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
        return {
            "type": "object",
            "description": self.target.__doc__,
            "properties": {name: _schema_of(hint, auto_schema) for name, hint in hints.items()},
            "required": [name for name in hints if name not in optional],
        }


def _schema_of(hint: Any, auto_schema: AutoSchema) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return _schema_of(arguments[0], auto_schema)
    if origin is Annotated:
        return _merged(_schema_of(arguments[0], auto_schema), hint.__metadata__)
    if origin in (Union, types.UnionType):
        return _union([_schema_of(argument, auto_schema) for argument in arguments])
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0], auto_schema)}
    if is_typeddict(hint):
        reference: dict[str, Any] = auto_schema.resolve_serializer(hint, "response").ref
        return reference
    if hint in _PRIMITIVES:
        return {"type": _PRIMITIVES[hint]}
    return {"type": "object", "additionalProperties": {}}


def _merged(schema: dict[str, Any], notes: tuple[shapes.Note, ...]) -> dict[str, Any]:
    for one in notes:
        schema = {**schema, **one.keywords}
    return schema


def _union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Return "this or null" in the short form where there is one."""
    null = {"type": "null"}
    others = [schema for schema in schemas if schema != null]
    if len(others) == 1 and isinstance(others[0].get("type"), str):
        return {**others[0], "type": [others[0]["type"], "null"]}
    return {"oneOf": [*others, null]}


class FieldComponent(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """The strict fields that DRF has no counterpart of."""

    _SCHEMAS: dict[type, dict[str, Any]] = {
        fields.Amount: {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,2})?$", "examples": ["15000.00"]},
        fields.Raw: {
            "type": "string",
            "examples": ["7K2-M9Q"],
            "description": "As typed; spaces and dashes are ignored.",
        },
        fields.Password: {"type": "string", "format": "password", "minLength": 1, "maxLength": fields.Password.MOST},
        fields.File: {"type": "string", "contentMediaType": "application/octet-stream"},
    }

    @classmethod
    def _matches(cls, target: Any) -> bool:
        return type(target) in cls._SCHEMAS

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        return dict(self._SCHEMAS[type(self.target)])


def _close_inputs(generated: dict[str, Any]) -> None:
    """Say in the document what the parser does: unknown members are refused."""
    for name, schema in generated["components"]["schemas"].items():
        if name.endswith("Input"):
            schema["additionalProperties"] = False
            for member in schema.get("properties", {}).values():
                member.pop("x-spec-enum-id", None)


def _share_headers(generated: dict[str, Any]) -> None:
    """Write the headers of every request once, as components."""
    shared = generated["components"].setdefault("parameters", {})
    for methods in generated["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [_shared(parameter, shared) for parameter in operation["parameters"]]


def _shared(parameter: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    if parameter["in"] != "header":
        return parameter
    name = parameter["name"].replace("-", "")
    shared[name] = parameter
    return {"$ref": f"#/components/parameters/{name}"}


def _settings(prefix: str) -> dict[str, Any]:
    """Return a value for every setting of drf-spectacular, so that none of the host's shows in our document."""
    neutral = {
        name: value
        for name, value in SPECTACULAR_DEFAULTS.items()
        if not name.startswith("SERVE_") and name != "DEFAULT_GENERATOR_CLASS"
    }
    return neutral | {
        "OAS_VERSION": "3.1.0",
        "TITLE": "twofa",
        "DESCRIPTION": DESCRIPTION,
        "VERSION": __version__,
        "SERVERS": [{"url": prefix}],
        "TAGS": TAGS,
        "SCHEMA_PATH_PREFIX": "",
        "COMPONENT_SPLIT_PATCH": False,
        "ENFORCE_NON_BLANK_FIELDS": True,
        "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
        "SORT_OPERATION_PARAMETERS": False,
        "POSTPROCESSING_HOOKS": [],
    }


@lru_cache(maxsize=4)
def document(prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document of an API mounted at ``prefix``, a path without a trailing slash."""
    with _lock, patched_settings(_settings(prefix)), translation.override("en"):
        generator: Any = cast(Any, SchemaGenerator)(urlconf="twofa.urls")
        generated: dict[str, Any] = generator.get_schema(request=None, public=True)
    _close_inputs(generated)
    _share_headers(generated)
    return generated
