#!/bin/sh
# Runs the Autobahn test suite against a server of its own and compares every verdict with
# expected.json beside this file.
#
#   tests/autobahn/run.sh [plain1|plain2|rechunk|tls|tls-rechunk|all] [--cases PATTERN]... [--jobs N] [--bless]
#
#   plain1    one worker                       plain2   two workers
#   rechunk   one worker behind a proxy that forwards in pieces of 1-7 bytes
#   tls, tls-rechunk   one worker, over wss; the same behind the proxy
#   all       these, one after the other (the default)
#   --cases   only these, as '9.*' or '12.1.1' (repeatable)
#   --jobs    suites side by side, each on its share of the cases (default 2)
#   --bless   write the verdicts to expected.json instead of comparing them
#
# WSTEST names the suite's `wstest`; without it, PATH and ~/.cache/autobahn/venv27/bin are looked
# at. THRONG names a server to test instead of the release build of this tree.
# Exit status: 0 as expected, 1 not as expected, 2 usage, 77 skipped because there is no wstest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

case "${1:-}" in
  -h|--help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

wstest=${WSTEST:-$(command -v wstest || echo "$HOME/.cache/autobahn/venv27/bin/wstest")}
if [ ! -x "$wstest" ]; then
  cat >&2 <<'HELP'
skipped: the Autobahn test suite is not installed. It needs CPython 2.7 (pyenv: `pyenv install
2.7.18`) and a virtual environment of that, filled from PyPI:

  python3 -m pip install --target /tmp/virtualenv 'virtualenv==20.15.1'
  PYTHONPATH=/tmp/virtualenv python3 -m virtualenv -p PATH/TO/python2.7 ~/.cache/autobahn/venv27
  pip="$HOME/.cache/autobahn/venv27/bin/pip"
  $pip install 'pip==20.3.4' 'setuptools==44.0.0' 'wheel==0.36.2'
  $pip install 'incremental==16.10.1' 'six==1.16.0' 'cryptography==3.3.2' 'pyOpenSSL==19.1.0' \
      'zope.interface==4.6.0'
  $pip install --no-build-isolation 'Twisted==19.10.0'
  $pip install 'wsaccel==0.6.6'
  $pip install --no-build-isolation 'autobahntestsuite==25.10.1'

The pins are the last releases that run on Python 2.7; wsaccel only makes the suite faster.
Then run this again, with WSTEST=PATH/TO/wstest if it is somewhere else.
HELP
  exit 77
fi

cd "$root"
if [ -z "${THRONG:-}" ]; then
  cargo build --release --bin throng
  THRONG=$root/target/release/throng
fi
cargo build --release --example rechunk
export THRONG WSTEST="$wstest" RECHUNK="$root/target/release/examples/rechunk"
exec python3 "$here/drive.py" "$@"
