"""The REST API: `main` is its entry point, `app` builds it, `routes` holds one module a resource,
`schemas` what they take and return, `authorisation` the one table of who may call what.
"""
