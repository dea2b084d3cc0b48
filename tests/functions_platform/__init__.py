"""An emulation of the Azure Functions host around Microsoft's real libraries; see `platform`."""

from tests.functions_platform.in_process import InProcessWorker
from tests.functions_platform.library import RUNTIME
from tests.functions_platform.platform import FunctionsPlatform
from tests.functions_platform.process import ProcessWorker
from tests.functions_platform.workers import Worker, WorkerDiedError

__all__ = ["RUNTIME", "FunctionsPlatform", "InProcessWorker", "ProcessWorker", "Worker", "WorkerDiedError"]
