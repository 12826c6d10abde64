# The demo on a bare machine: how long until the page is there, and until its photos are found.
set -euo pipefail
git config --global --add safe.directory /source
git clone --quiet /source petsearch
cd petsearch
python3 --version
started=$SECONDS
make demo >demo.log 2>&1 &
server=$!
until curl --fail --silent --output /dev/null http://127.0.0.1:8000/; do
  kill -0 "$server" 2>/dev/null || { cat demo.log; exit 1; }
  sleep 0.2
done
echo "the page after $((SECONDS - started)) s"
until curl --fail --silent 'http://127.0.0.1:8000/v1/stats' | grep -q '"images":480'; do
  kill -0 "$server" 2>/dev/null || { cat demo.log; exit 1; }
  sleep 0.2
done
curl --fail --silent 'http://127.0.0.1:8000/v1/search?q=a+grey+cat&limit=1' | grep -q '"items":\[{'
echo "all its photos after $((SECONDS - started)) s"
