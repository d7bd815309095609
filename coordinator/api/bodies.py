"""Reading request bodies: bounded in size, of a type we take, never compressed, never written to disk."""

from typing import TypeVar

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
