"""Signing in and out, and what a person is signed up for."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint

bp = Blueprint("account", __name__)

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
