"""The files that `make schemas` writes and a test holds against the code."""

from __future__ import annotations

import json

from gateway.contract.asyncapi import document
from gateway.contract.schema import schemas


def pages() -> dict[str, str]:
    """Text by path below docs/."""
    documents = {f"schemas/{name}.json": schema for name, schema in schemas().items()}
    documents["asyncapi.json"] = document()
    return {path: json.dumps(one, indent=2, ensure_ascii=False) + "\n" for path, one in documents.items()}
