#!/usr/bin/env bash
# `make lock`: writes what each image installs, with the hashes of its files, at the versions of
# constraints.txt. torch has a file of its own: TORCH_INDEX_URL gets other builds of it.
set -euo pipefail
cd "$(dirname "$0")/../.."

compile() {
  local file=$1
  shift
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --constraint constraints.txt \
    --generate-hashes --no-annotate --no-header --output-file "infra/images/$file.txt" "$@"
}

# Options that leave out what these files hold and whose names match a pattern.
without() {
  sed -nE "s/^($1)==.*/--no-emit-package=\\1/p" "${@:2}"
}

compile api pyproject.toml --extra api
compile worker pyproject.toml --extra worker
compile torch - <<<$'torch\ntorchvision'
mapfile -t builds < <(without '(torch|torchvision|triton|nvidia|cuda)[a-z0-9-]*' infra/images/torch.txt)
compile embedder pyproject.toml --extra embedder "${builds[@]}"
mapfile -t there < <(without '[a-z0-9-]+' infra/images/torch.txt infra/images/embedder.txt)
compile trainer pyproject.toml --extra embedder --extra training "${there[@]}"
