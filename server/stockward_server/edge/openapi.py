"""Builds the OpenAPI 3.1 document of the REST routes from the compiled contract with its comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet
from stockward.auth.v1 import auth_pb2

from stockward_server import __version__
from stockward_server.edge.contract import RAW, Route, json_name, routes
from stockward_server.edge.replies import MARKED_REPLIES, REPLIES
from stockward_server.edge.schema import WELL_KNOWN, Schema, Schemas

ROLES: Any = auth_pb2.roles
STATUS = ".google.rpc.Status"
DETAILS = (
    ".google.rpc.ErrorInfo",
    ".google.rpc.BadRequest",
    ".google.rpc.PreconditionFailure",
    ".google.rpc.RetryInfo",
)

INTRODUCTION = """\
Catalog, inventory and orders of one shop. Every call is authorized by an API key: `authorization: Bearer KEY`.

64-bit integers are strings in answers, and strings or numbers in requests. Answers have every field that can be zero
or empty; new ones may come, so ignore what you do not know. Every mutation takes a `requestId`, a UUID of your choice:
sent again with the same one, it answers the same and does nothing. An error is a google.rpc.Status: branch on the
`reason` of its ErrorInfo, never on the message; a BadRequest lists the fields at fault.
"""

ERRORS = {
    400: "The request breaks a rule, or the state of things does not allow it.",
    401: "No key, or one that is not known.",
    403: "The key's role may not do this.",
    404: "There is no such thing.",
    409: "It exists already, it has changed since it was read, or the requestId was used for something else.",
    422: "A webhook of a type that this address does not take.",
    429: "Too much at once. RetryInfo says when to come back.",
    499: "The server stopped while it was at it. Send it again with the same requestId.",
    500: "A defect. Its incident id stands in the server's log.",
}
"""Descriptions of the server's errors by HTTP status; those of the edge are added."""


def openapi(contract: FileDescriptorSet) -> Schema:
    """Returns the document. The contract must have been compiled with its comments."""
    schemas = Schemas(contract)
    paths: dict[str, Schema] = {}
    named: dict[str, int] = {}
    types: set[str] = {STATUS, *DETAILS}
    requests: set[str] = set()
    responses: set[str] = set(DETAILS)
    for route in routes(contract):
        number = named[route.method.name] = named.get(route.method.name, 0) + 1
        operation = _operation(route, schemas)
        operation["operationId"] = route.method.name + (f"_{number}" if number > 1 else "")
        paths.setdefault(_path(route), {})[route.verb.lower()] = operation
        if route.method.input_type != RAW:
            requests |= set(schemas.reachable(route.method.input_type))
        responses |= set(schemas.reachable(route.method.output_type))
    types |= {each for each in requests | responses if not each.startswith(".google.rpc.")}
    for detail in DETAILS:
        types |= set(schemas.reachable(detail))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stockward",
            "version": __version__,
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": tag, "description": text} for tag, text in sorted(_tags(contract, schemas))],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "responses": {f"Error{status}": _error(status) for status in _statuses()},
            "schemas": {
                name[1:]: _component(name, schemas, closed=name in requests and name not in responses)
                for name in sorted(types)
            },
        },
        "x-error-reasons": dict(sorted(_reasons(schemas))),
    }


def _component(name: str, schemas: Schemas, closed: bool) -> Schema:
    if name in schemas.enums:
        return schemas.of_enum(name)
    schema = schemas.of_message(name, closed=closed)
    if name == STATUS:
        kinds = [{"$ref": f"#/components/schemas/{each[1:]}"} for each in DETAILS]
        schema["description"] = "An error: its google.rpc.Code, a text for people, and details for programs."
        schema["required"] = ["code", "message", "details"]
        schema["properties"]["details"]["items"] = {"anyOf": [*kinds, WELL_KNOWN[".google.protobuf.Any"]]}
    if name in DETAILS:
        mark = {"@type": {"const": f"type.googleapis.com/{name[1:]}"}}
        schema["properties"] = mark | schema["properties"]
        schema["required"] = ["@type"]
    return schema


def _operation(route: Route, schemas: Schemas) -> Schema:
    roles = [auth_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in route.method.options.Extensions[ROLES]]
    comment = schemas.comments.get(f".{route.service}.{route.method.name}", "")
    operation: Schema = {
        "tags": [route.service.rpartition(".")[2]],
        "summary": route.method.name,
        **(
            {"description": comment, "security": []}
            if route.is_signed
            else {"description": f"{comment}\n\nRoles: {', '.join([*roles, 'admin'])}.", "x-roles": [*roles, "admin"]}
        ),
        "parameters": [*_in_path(route, schemas), *_in_query(route, schemas)],
        "responses": {
            "200": {
                "description": "Done.",
                "content": {"application/json": {"schema": _reference(route.method.output_type)}},
            },
            **{str(status): {"$ref": f"#/components/responses/Error{status}"} for status in _statuses(route)},
        },
    }
    if route.body:
        schema = _body(route, schemas)
        operation["requestBody"] = {
            "required": "required" in schema,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _path(route: Route) -> str:
    path = route.path
    for variable in route.variables:
        path = path.replace(variable, _camel(variable))
    return path


def _camel(variable: str) -> str:
    """Returns the JSON name of a path variable: its last part in lower camel case."""
    return json_name(FieldDescriptorProto(name=variable.rpartition(".")[2]))


def _in_path(route: Route, schemas: Schemas) -> Iterator[Schema]:
    for variable in route.variables:
        message = route.method.input_type
        *outer, last = variable.split(".")
        for part in outer:
            message = _field(schemas, message, part).type_name
        schema = schemas.of_field(_field(schemas, message, last), f"{message}.{last}")
        yield _parameter(_camel(variable), "path", schema, required=True)


def _in_query(route: Route, schemas: Schemas) -> Iterator[Schema]:
    """Yields a parameter for each field that is neither in the path nor in the body."""
    if route.body == "*":
        return
    message = route.method.input_type
    taken = {route.body, *(variable.partition(".")[0] for variable in route.variables)}
    for field in schemas.messages[message].field:
        if field.name not in taken:
            schema = schemas.of_field(field, f"{message}.{field.name}")
            required = json_name(field) in schemas.of_message(message).get("required", ())
            yield _parameter(json_name(field), "query", schema, required)


def _parameter(name: str, place: str, schema: Schema, required: bool) -> Schema:
    text = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, **text, "schema": schema}


def _body(route: Route, schemas: Schemas) -> Schema:
    message = route.method.input_type
    if message == RAW:
        return {"type": "object", "description": "Signed as it is sent, byte by byte."}
    if route.body != "*":
        return _reference(_field(schemas, message, route.body).type_name)
    if not route.variables:
        return _reference(message)
    return schemas.of_message(message, without=frozenset(route.variables), closed=True)


def _field(schemas: Schemas, message: str, name: str) -> FieldDescriptorProto:
    return next(field for field in schemas.messages[message].field if field.name == name)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name[1:]}"}


def _statuses(route: Route | None = None) -> list[int]:
    """Returns the HTTP statuses of the errors of a route; of all errors without a route."""
    statuses = {*ERRORS, *(reply.http for reply in REPLIES)}
    if route is not None:
        statuses -= {405} | ({413} if not route.body else set()) | ({422} if not route.is_signed else set())
    return sorted(statuses)


def _error(status: int) -> Schema:
    own = [f"`{each.reason}`: {each.meaning}" for each in (*REPLIES, *MARKED_REPLIES) if each.http == status]
    return {
        "description": "\n\n".join([ERRORS.get(status, ""), *own]).strip(),
        "content": {"application/json": {"schema": _reference(STATUS)}},
    }


def _tags(contract: FileDescriptorSet, schemas: Schemas) -> Iterator[tuple[str, str]]:
    for name in {route.service for route in routes(contract)}:
        yield name.rpartition(".")[2], schemas.comments.get(f".{name}", "")


def _reasons(schemas: Schemas) -> Iterator[tuple[str, str]]:
    """Yields every reason of the ErrorReason enums and of the edge, with its explanation."""
    for name, enum in schemas.enums.items():
        if enum.name == "ErrorReason":
            for value in enum.value[1:]:
                yield value.name.removeprefix("ERROR_REASON_"), schemas.comments.get(f"{name}.{value.name}", "")
    for reply in (*REPLIES, *MARKED_REPLIES):
        yield reply.reason, f"HTTP {reply.http}, domain `stockward.edge`: {reply.meaning}"
