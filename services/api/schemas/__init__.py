"""Bodies of requests and answers as pydantic models, one module a resource."""
