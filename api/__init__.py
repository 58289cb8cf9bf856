"""The same answers over HTTP: server, authentication, routes, OpenAPI, dashboard."""
