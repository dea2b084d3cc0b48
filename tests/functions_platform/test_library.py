"""Through whose library functions are called."""

from __future__ import annotations

import sys

import azure.functions as func

from tests.functions_platform.library import DirectLibrary, create_library


def test_microsofts_library_calls_the_functions_where_it_can_be_installed() -> None:
    library = create_library(func.FunctionApp())

    assert isinstance(library, DirectLibrary) == (sys.version_info < (3, 13))
