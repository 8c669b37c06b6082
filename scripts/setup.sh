#!/usr/bin/env bash
# Makes .venv with exactly the locked versions, from a Python 3.12+ or any uv. Re-runnable; needs no network once done.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.14; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
}

if command -v uv >/dev/null 2>&1; then
  exec uv sync --frozen --quiet
fi
python=$(find_python)
if [[ -z $python ]]; then
  found=$(command -v python3 >/dev/null 2>&1 && python3 --version 2>&1 || true)
  echo "podwire needs Python 3.12 or newer as python3 (found: ${found:-none}), or uv: install either one" >&2
  exit 1
fi
tools=.venv/.uv
if [[ ! -x $tools/bin/uv ]]; then
  "$python" -m venv .venv
  "$python" -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "uv==0.13.9"
fi
exec "$tools/bin/uv" sync --frozen --quiet --python "$(command -v "$python")"
