"""JSON Schema of a configuration file, for editors; from the same types that check it."""

from typing import Any

import msgspec

from console.config.document import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema as JSON-ready data."""
    found = msgspec.json.schema(Document)
    return {"$schema": DIALECT, "title": "Watchfloor configuration", **found}
