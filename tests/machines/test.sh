# The tests on a bare machine.
set -euo pipefail
git -c safe.directory='*' clone --quiet /source petsearch
cd petsearch
started=$SECONDS
make test
echo "tested in $((SECONDS - started)) s"
