#!/usr/bin/env bash
# The tests of the Azure Functions host on another Python, in a virtual environment of its own:
#   scripts/functions_on.sh 3.13 3.11
# The second version is the one that `make unit` has tested them on already; a version that is not here is said.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
tested=$2
venv=.venv-$version

find_python() {
  local python
  for python in "python$version" "$HOME/.pyenv/versions/$version."*/bin/python; do
    if "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  return 1
}

if [ "$version" = "$tested" ]; then
  exit
fi
if ! python=$(find_python); then
  echo "Python $version is not here: the Azure Functions host is not tested on it."
  exit
fi
echo "The Azure Functions host on $("$python" --version):"
if [ ! "$venv/.done" -nt pyproject.toml ]; then
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --upgrade 'pip>=25.1'
  "$venv/bin/pip" install --quiet --editable '.[demo,functions,metrics,valkey]' --group functions-test
  touch "$venv/.done"
fi
shopt -s nullglob
"$venv/bin/python" -m pytest --quiet --numprocesses "${JOBS:-3}" --dist worksteal tests/functions* tests/*/functions*
