#!/usr/bin/env bash
# `make test-machines`: the README's commands on bare machines, as an ordinary user: containers of
# Debian with nothing but git, make, python3, python3-venv and curl. Needs root, debootstrap and a
# Docker engine. RELEASES and COMMANDS choose, and PYTEST_ADDOPTS is passed on; `test` takes long.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v debootstrap >/dev/null || { echo "debootstrap was not found: apt install debootstrap"; exit 1; }
docker info >/dev/null 2>&1 || { echo "No Docker engine responds."; exit 1; }

build() {
  local root
  root=$(mktemp -d)
  debootstrap --variant=minbase --include=ca-certificates,curl,git,make,python3,python3-venv \
    "$1" "$root" >/dev/null
  chroot "$root" useradd --create-home me
  # What this machine trusts, and where its pip and uv look, holds there too.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  for file in /etc/pip.conf /etc/uv; do
    if [ -e "$file" ]; then cp -r "$file" "$root/etc/"; fi
  done
  tar -C "$root" -c . | docker import - "petsearch-bare-$1:local" >/dev/null
  rm -rf "$root"
}

for release in ${RELEASES:-bookworm trixie sid}; do
  docker image inspect "petsearch-bare-$release:local" >/dev/null 2>&1 || build "$release"
  for command in ${COMMANDS:-demo test}; do
    # Volumes, because what a container writes elsewhere goes through the engine's layers.
    docker run --rm --init --user me --workdir /home/me --env HOME=/home/me \
      --env SSL_CERT_FILE --env PYTEST_ADDOPTS --volume /home/me --volume /tmp \
      --volume "$PWD/.git:/source:ro" --volume "$PWD/tests/machines:/steps:ro" \
      "petsearch-bare-$release:local" bash "/steps/$command.sh" 2>&1 | sed --unbuffered "s/^/$release $command: /"
  done
done
