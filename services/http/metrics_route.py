"""`GET /metrics` among the routes of an application that has no port of its own for it."""

from fastapi import FastAPI, Response

from services.http.metrics import MEDIA_TYPE, ServedMetrics


def add_metrics_route(app: FastAPI, *told: ServedMetrics) -> None:
    """Serve what all of `told` tell, whose names differ. Who may read it is the app's to say."""

    def get_metrics() -> Response:
        return Response(b"".join(one.render() for one in told), media_type=MEDIA_TYPE)

    app.add_api_route("/metrics", get_metrics, include_in_schema=False)
