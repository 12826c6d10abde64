# The tests on a bare machine.
set -euo pipefail
git config --global --add safe.directory /source
git clone --quiet /source petsearch
cd petsearch
started=$SECONDS
make test
echo "tested in $((SECONDS - started)) s"
