#!/bin/sh
# Installs the programs that the black-box tests drive and read with, into a directory of its own.
#
#   loadgen/tests/tools.sh node DIR      npm `ws`, in DIR/node/node_modules
#   loadgen/tests/tools.sh python DIR    `websockets` and `hdrhistogram` from PyPI, in DIR/python
#   loadgen/tests/tools.sh cent DIR      `cent` from PyPI, in DIR/cent
#   loadgen/tests/tools.sh centrifuge DIR         npm `centrifuge` and `ws`, in DIR/centrifuge
#   loadgen/tests/tools.sh centrifuge-python DIR  the same client from PyPI, in DIR/centrifuge-python
#
# Does nothing where all is there. The last line on stderr says what is in the way.
set -eu
what=$1 dir=$2/$1

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing (Debian: apt-get install $2)" >&2; exit 1; }
}

# A virtual environment in which the statement works once the packages are there.
python_with() {
    statement=$1
    shift
    "$dir/bin/python" -c "$statement" 2>/dev/null && return
    need python3 python3-venv
    python3 -m venv --clear "$dir" >&2
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
    "$dir/bin/python" -c "$statement" 2>/dev/null
}

case $what in
node)
    need node nodejs
    [ ! -f "$dir/node_modules/ws/package.json" ] || exit 0
    need npm npm
    mkdir -p "$dir"
    npm install --prefix "$dir" --no-audit --no-fund --no-progress --loglevel=error ws@8 >&2
    ;;
centrifuge)
    need node nodejs
    [ ! -f "$dir/node_modules/centrifuge/package.json" ] || exit 0
    need npm npm
    mkdir -p "$dir"
    npm install --prefix "$dir" --no-audit --no-fund --no-progress --loglevel=error centrifuge@5 ws@8 >&2
    ;;
centrifuge-python) python_with 'import centrifuge' centrifuge-python ;;
python) python_with 'import hdrh.log, websockets.sync.server' websockets hdrhistogram ;;
cent) python_with 'import cent' 'cent>=5.2,<6' ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
