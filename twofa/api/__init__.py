"""The HTTP API: parse, authorise, one flow call, present. The contract is ``docs/reference/openapi.yaml``."""
