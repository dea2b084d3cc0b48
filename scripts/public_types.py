"""Every public name has a type that pyright knows, without looking into other packages.

Left out are classes that derive from other packages' (msgspec structs, function apps, chat clients), whose types
pyright does not look into here: the inner modules of the gateway, of redis and of signalr, and the demo, which nobody
outside the package imports; the Azure Functions host and the collector of metrics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

INNER = (
    "streamsink.backends.gateway.",
    "streamsink.backends.redis.",
    "streamsink.backends.signalr.",
    "streamsink.demo.",
    "streamsink.hosts.functions.",
    "streamsink.hosts.metrics.StreamCollector",
)


def main() -> int:
    """Report the names whose type is not known; 1 when there is one."""
    pyright = Path(sys.executable).with_name("pyright")
    options = ["--pythonpath", sys.executable, "--ignoreexternal", "--outputjson", "--verifytypes", "streamsink"]
    done = subprocess.run(
        [str(pyright), *options], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    exported = [symbol for symbol in symbols if symbol["isExported"] and not symbol["name"].startswith(INNER)]
    unknown = [symbol["name"] for symbol in exported if not symbol["isTypeKnown"]]
    print("\n".join(unknown) or f"the types of {len(exported)} public names are known")
    return 1 if unknown or not exported else 0


if __name__ == "__main__":
    sys.exit(main())
