#!/bin/sh
# Makes $VENV from requirements.txt with uv, taken from PATH or installed into .bootstrap.
# `setup.sh lock` resolves requirements.txt anew from pyproject.toml, without index addresses; what is
# compiled against a library of the machine stands apart in requirements-libvirt.txt.
set -eu
VENV="${VENV:-.venv}"
PYTHON="${PYTHON:-python3}"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: Python 3.11 or newer is needed, $PYTHON is $("$PYTHON" -V 2>&1)" >&2
  echo >&2
  echo "hint: make PYTHON=/path/to/python3.12" >&2
  exit 1
}

if command -v uv >/dev/null 2>&1; then
  UV=uv
else
  UV=.bootstrap/bin/uv
  if [ ! -x "$UV" ]; then
    echo "installing uv into .bootstrap" >&2
    "$PYTHON" -m venv .bootstrap
    .bootstrap/bin/python -m pip install --quiet 'uv>=0.8,<1'
  fi
fi

if [ "${1:-}" = lock ]; then
  lock() {
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
      --no-emit-index-url --no-annotate --no-header "$@"
  }
  lock --extra demo --extra dev --extra hypervisor --extra kubernetes --extra postgres \
    --no-emit-package libvirt-python pyproject.toml --output-file requirements.txt
  grep -o '"libvirt-python[^"]*"' pyproject.toml | tr -d '"' |
    lock - --output-file requirements-libvirt.txt
  exit
fi

[ -x "$VENV/bin/python" ] || "$UV" venv --quiet --python "$PYTHON" "$VENV"
echo "installing the pinned dependencies into $VENV" >&2
# Compiled once here; else all programs of the first start compile the same modules at the same time.
"$UV" pip install --quiet --compile-bytecode --python "$VENV/bin/python" --require-hashes \
  --requirement requirements.txt
"$UV" pip install --quiet --python "$VENV/bin/python" --no-deps --editable .

# There are no wheels of it: it is built where the headers are, and missed by virtual machines alone.
if pkg-config --exists libvirt 2>/dev/null; then
  echo "building the libvirt bindings" >&2
  "$UV" pip install --quiet --compile-bytecode --python "$VENV/bin/python" --require-hashes \
    --requirement requirements-libvirt.txt || {
    echo "the libvirt bindings were not built, so there is no access to virtual machines" >&2
    echo "hint: install a C compiler and the headers of Python (Debian: gcc python3-dev)" >&2
  }
fi
