"""Pages for the operator: is it alive, is it ready, and the demo's mailbox."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint

bp = Blueprint("ops", __name__)

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
