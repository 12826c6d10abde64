"""`GET /metrics` among the routes of an application that has no port of its own for it."""

from fastapi import FastAPI, Response

from services.http.metrics import MEDIA_TYPE, ServedMetrics


def add_metrics_route(app: FastAPI, *metrics: ServedMetrics) -> None:
    """Serve several sets of metrics, whose names differ. Access is left to the application."""

    def get_metrics() -> Response:
        return Response(b"".join(one.render() for one in metrics), media_type=MEDIA_TYPE)

    app.add_api_route("/metrics", get_metrics, methods=["GET", "HEAD"], include_in_schema=False)
