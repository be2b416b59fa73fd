"""Pages of the organisers: everything below /organise, behind one guard."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint

from whatsnext.permissions import Right
from whatsnext.web import guards

bp = Blueprint("organise", __name__, url_prefix="/organise")
guards.protect(bp, Right.PLAN)

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
