"""One OpenAPI document for tests: usable, and broken in one place."""

USABLE = """openapi: 3.1.0
info: {title: Items, version: "1"}
paths:
  /items:
    get:
      parameters: [{name: limit, in: query, schema: {type: integer}}]
      responses: {"200": {description: ok}}
"""
BROKEN = USABLE.replace("integer", "integr")
PROBLEM = "paths./items.get.parameters[0].schema.type: not a valid schema"
