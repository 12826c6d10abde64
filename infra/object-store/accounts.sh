#!/bin/sh
# Makes the accounts of the services, or gives existing ones their policies and secrets again.
#   docker compose run --rm accounts      with docker-compose.accounts.yml among the files
set -eu
cd "$(dirname "$0")"

mc --quiet alias set store http://minio:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
# The services may not create it.
mc --quiet mb --ignore-existing store/petsearch

# make NAME SECRET: the account petsearch-NAME, which may do what NAME.json says.
make() {
  mc --quiet admin policy create store "petsearch-$1" "$1.json"
  mc --quiet admin user add store "petsearch-$1" "$2"
  # It is an error to attach a policy twice.
  mc --quiet admin user info store "petsearch-$1" | grep -q "PolicyName: petsearch-$1" ||
    mc --quiet admin policy attach store "petsearch-$1" --user "petsearch-$1"
}

make api "$S3_API_SECRET"
make worker "$S3_WORKER_SECRET"
make embedder "$S3_EMBEDDER_SECRET"
make trainer "$S3_TRAINER_SECRET"
make maintenance "$S3_MAINTENANCE_SECRET"
