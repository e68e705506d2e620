"""The body that samples carry, and the OpenAPI document that describes it."""

import json

ORDER = json.dumps(
    {
        "order": {
            "customer": "c-204711",
            "currency": "EUR",
            "lines": [
                {"sku": f"sku-{number}", "quantity": number, "price": 1.5 * number, "note": "gift"}
                for number in range(1, 15)
            ],
        }
    }
).encode()  # about 1 KB

_LINE = {
    "type": "object",
    "required": ["sku", "quantity", "price"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "quantity": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "note": {"type": "string", "maxLength": 100},
    },
}
DESCRIBED = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "1"},
        "paths": {
            "/items/{id}": {
                "post": {
                    "parameters": [
                        {
                            "name": "id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "integer", "minimum": 1},
                        },
                        {"name": "expand", "in": "query", "schema": {"enum": ["lines"]}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["order"],
                                    "properties": {
                                        "order": {
                                            "type": "object",
                                            "required": ["customer", "currency", "lines"],
                                            "properties": {
                                                "customer": {"type": "string"},
                                                "currency": {"enum": ["EUR", "USD"]},
                                                "lines": {"type": "array", "items": _LINE},
                                            },
                                        }
                                    },
                                }
                            }
                        },
                    },
                    "responses": {
                        "200": {"description": "ok", "content": {"application/json": {}}}
                    },
                }
            }
        },
    }
)
