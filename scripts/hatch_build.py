"""Refuses to build a wheel without the browser libraries: whoever installs it needs no Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARIES = ("signalr.min.js", "marked.esm.js", "purify.es.mjs")


class VendoredHook(BuildHookInterface[Any]):
    """Checks ``streamsink/static/vendor``; an editable install may come before it is filled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        vendor = Path(self.root, "streamsink", "static", "vendor")
        missing = [name for name in LIBRARIES if not (vendor / name).is_file()]
        if missing and version != "editable":
            raise RuntimeError(f"{', '.join(missing)} should be in {vendor}; run: npm ci && npm run vendor")
