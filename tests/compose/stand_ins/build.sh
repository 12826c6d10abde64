#!/usr/bin/env bash
# `make base-images`: stand-ins for the images of the compose files, from Debian's packages, where no
# registry can be reached. For tests only. Needs root and debootstrap. QDRANT_BINARY names a program
# `qdrant` that is to be taken instead of its stand-in.
set -euo pipefail
cd "$(dirname "$0")/../../.."
docker buildx version >/dev/null 2>&1 || { echo "Docker's buildx plugin was not found: apt install docker-buildx"; exit 1; }
export DOCKER_BUILDKIT=1

build_base() {
  command -v debootstrap >/dev/null || { echo "debootstrap was not found: apt install debootstrap"; exit 1; }
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  echo "Debian's packages (minutes) …"
  debootstrap --variant=minbase --include=python3.11,python3-venv,python3-pip,ca-certificates,libgomp1,redis-server,libcap2-bin \
    bookworm "$root" >/dev/null
  ln -sf python3.11 "$root/usr/bin/python"
  ln -sf redis-server "$root/usr/bin/valkey-server"
  ln -sf redis-cli "$root/usr/bin/valkey-cli"
  # As in the official image of Python, pip installs outside virtual environments too.
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  # What this machine trusts, and where its pip looks, holds in builds too.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
  tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - petsearch-stand-in-base:local
}

# The base as it is; those built on it as their files are now.
docker image inspect petsearch-stand-in-base:local >/dev/null 2>&1 || build_base
for target in caddy valkey qdrant s3; do
  tar -c constraints.txt devstack -C tests/compose/stand_ins Dockerfile s3_server.py wget \
    | docker build --quiet --target "$target" --tag "petsearch-stand-in-$target:local" -
done
if [ -n "${QDRANT_BINARY:-}" ]; then
  tar -c -C tests/compose/stand_ins Dockerfile wget -C "$(dirname "$(realpath "$QDRANT_BINARY")")" qdrant \
    | docker build --quiet --target qdrant-binary --tag petsearch-stand-in-qdrant:local -
fi
echo "Stand-ins, not the real servers: petsearch-stand-in-{base,caddy,valkey,qdrant,s3}:local"
