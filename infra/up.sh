#!/usr/bin/env bash
# `make up`: builds and starts everything, returns when the page and the API answer, and says what
# the model is doing. Arguments are those of `docker compose up`.
set -euo pipefail
cd "$(dirname "$0")/.."

LEAST=2.24.4 # the first with !override and !reset

fail() {
  echo "$1" >&2
  exit 1
}

command -v docker >/dev/null || fail "docker was not found. Install Docker with its compose plugin, or run without it: make stack (the same services as processes), make demo (one process)."
version=$(docker compose version --short 2>/dev/null) || fail "The compose plugin was not found: install docker-compose-plugin (Debian) or docker-compose (brew)."
version=${version#v}
[ "$(printf '%s\n' "$LEAST" "${version%%[-+]*}" | sort -V | head -n 1)" = "$LEAST" ] \
  || fail "Docker Compose $version is too old: the compose files need $LEAST or newer."
docker buildx version >/dev/null 2>&1 || fail "The buildx plugin was not found, which builds the images: install docker-buildx (Debian) or docker-buildx-plugin (Docker's packages)."
docker info >/dev/null 2>&1 || fail "No Docker engine responds: start it (Docker Desktop, or systemctl start docker), or set DOCKER_HOST. To run without one: make stack."

# What is wrong with each service that does not run, and the last thing that it said.
explain() {
  local service state health
  docker compose ps --all --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}' \
    | while read -r service state health code; do
      case "$state $health $code" in
        "running healthy "* | "running 0 "* | "exited 0 "*) continue ;;
        "running starting "*) state="not ready" ;;
      esac
      echo "$service is $state${health:+ ($health)}. It said last:"
      docker compose logs --no-log-prefix --tail 1 "$service" 2>&1 | cut -c1-500
      echo "All it said: docker compose logs $service"
    done
  echo "To try again when it is mended: make up"
}

# For the labels of the images; an address without the password that it may hold.
IMAGE_REVISION=${IMAGE_REVISION:-$(git describe --always --dirty 2>/dev/null || true)}
IMAGE_SOURCE=${IMAGE_SOURCE:-$(git config --get remote.origin.url 2>/dev/null | sed 's#//[^/@]*@#//#' || true)}
export IMAGE_REVISION IMAGE_SOURCE

if [ -z "${TORCH_INDEX_URL:-}" ] && ! grep -qs '^TORCH_INDEX_URL=.' .env \
  && ! docker image inspect "petsearch-embedder:${PETSEARCH_TAG:-local}" >/dev/null 2>&1; then
  echo "The embedder's image gets PyTorch with CUDA libraries (5.6 GB). For a machine without a GPU, set TORCH_INDEX_URL to an index of CPU builds first: see .env.example."
fi

if ! docker compose up --build --detach "$@" || ! docker compose up --detach --no-recreate --wait "$@" web; then
  explain >&2
  exit 1
fi

echo "petsearch is ready: http://$(docker compose port web 8080)   Logs: docker compose logs -f   Stop: docker compose down"
parts=$(docker compose exec -T web wget -q -Y off -T 5 -O - http://127.0.0.1:8080/readyz || true)
model=$(sed -n 's/.*"embedder":"\([^"]*\)".*/\1/p' <<<"$parts")
[ "$model" = ok ] || echo "Searches answer when the model is there. ${model:-The API does not say how far it is.} Progress: docker compose logs -f embedder"
