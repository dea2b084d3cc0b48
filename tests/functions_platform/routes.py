"""Which function an HTTP request is for, and who may call it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.functions_platform.data import Function
    from tests.functions_platform.web import Target

__all__ = ["Route", "Routes"]

_PARAMETER: Final = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>\w+)(?::[^}]*?)?(?P<optional>\??)\}")


@dataclass(frozen=True)
class Route:
    function: Function
    pattern: re.Pattern[str]
    #: The fewer of its segments are parameters, the earlier a route is tried.
    rank: tuple[int, ...]
    methods: frozenset[str]
    level: str

    def allows(self, level: str | None) -> bool:
        """Whether a caller whose key is of `level` may call; an anonymous function needs no key."""
        return self.level == "ANONYMOUS" or level == "ADMIN" or level == self.level


class Routes:
    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        routes = [_route(function, prefix) for function in functions if function.trigger["type"] == "httpTrigger"]
        self._routes = sorted(routes, key=lambda route: route.rank)

    def find(self, method: str, target: Target) -> tuple[Route, dict[str, str]] | None:
        """Return the route and its parameters. A path with another method is as unknown as another path."""
        path = "/".join(segment.replace("/", "%2F") for segment in target.segments)
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match and (not route.methods or method in route.methods):
                return route, {name: value for name, value in match.groupdict().items() if value is not None}
        return None


def _route(function: Function, prefix: str) -> Route:
    trigger = function.trigger
    template = "/".join(part for part in (prefix, trigger.get("route") or function.name) if part)
    segments = template.strip("/").split("/")
    return Route(
        function=function,
        pattern=re.compile("".join(map(_pattern, segments)).removeprefix("/"), re.IGNORECASE),
        rank=tuple(_rank(segment) for segment in segments),
        methods=frozenset(method.upper() for method in trigger.get("methods") or ()),
        level=(trigger.get("authLevel") or "FUNCTION").upper(),
    )


def _rank(segment: str) -> int:
    match = _PARAMETER.search(segment)
    return 0 if match is None else 2 if match["rest"] else 1


def _pattern(segment: str) -> str:
    """Return the pattern of a segment with the slash before it, which goes with a last segment that is not there."""
    match = _PARAMETER.fullmatch(segment)
    if match is not None and match["rest"]:
        return f"(?:/(?P<{match['name']}>.*))?"
    if match is not None and match["optional"]:
        return f"(?:/(?P<{match['name']}>[^/]+))?"
    position, pattern = 0, "/"
    for match in _PARAMETER.finditer(segment):
        pattern += re.escape(segment[position : match.start()]) + f"(?P<{match['name']}>[^/]+)"
        position = match.end()
    return pattern + re.escape(segment[position:])
