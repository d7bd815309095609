"""Reading request bodies: bounded in size, of a type we take, never compressed, never written to disk."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from coordinator.api.problems import Problem

MIB = 1024 * 1024
MAX_EVENT_BYTES = MIB
MAX_BATCH_BYTES = 16 * MIB
MAX_REGISTRY_BYTES = 16 * MIB
MAX_CALLBACK_BYTES = 4 * MIB
MAX_ACTION_BYTES = 16 * 1024

JSON = "application/json"
NDJSON = "application/x-ndjson"

Model = TypeVar("Model", bound=BaseModel)


def media_type(request: Request) -> str:
    """Return the content type in small letters, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, *, limit: int, types: tuple[str, ...] = (JSON,)) -> bytes:
    """Return the body; raise Problem 413 as soon as it is too long, 415 for a type or encoding we do not take."""
    if types and media_type(request) not in types:
        raise Problem(415, "media-type", "This content type is not taken here.", f"Send {' or '.join(types)}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "content-encoding", "Compressed bodies are not taken.", "Send the body as it is.")
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> Problem:
    """Return the problem for a body over the limit."""
    return Problem(413, "too-large", f"The body is longer than {limit} bytes.", "Send it in smaller parts.")


def parse(model: type[Model], body: bytes) -> Model:
    """Return the body as a value; raise Problem 422 with every fault, never with the values."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as wrong:
        faults = [
            ("".join(f"/{part}" for part in one["loc"]), one["msg"], "See the API's documentation.")
            for one in wrong.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Problem(422, "body-refused", "The request was refused.", faults=faults) from None


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """Return what the API's description of itself says of a body that `parse` reads."""
    schema = model.model_json_schema()
    return _body(JSON, _whole(schema, schema.pop("$defs", {})))


def takes_schema(*names: str, lines: bool = False) -> dict[str, Any]:
    """Return the same for a body whose published schemas have these names; `lines`: one a line, too."""
    where = " or ".join(f"/v1/schemas/{name}" for name in names)
    described = _body(JSON, {"description": f"The schema is {where}."})
    if lines:
        described["requestBody"]["content"][NDJSON] = {"schema": {"type": "string"}}
    return described


def _body(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}


def _whole(part: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401  (JSON)
    """Return a schema with each reference replaced by what it points at: the document has no place for the parts."""
    if isinstance(part, list):
        return [_whole(one, parts) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _whole(parts[part["$ref"].rpartition("/")[2]], parts)
    return {name: _whole(one, parts) for name, one in part.items()}
