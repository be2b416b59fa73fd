"""The worker: delivers what is owed and does what is due."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Prepare `app` for workers. Starts none."""
    app.extensions["whatsnext.worker"] = None
