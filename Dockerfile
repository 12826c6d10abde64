# The images of the services: `docker build --target api .`, and the same for worker, embedder and
# trainer. Only those of the embedder and of training hold torch; they share its layers.
ARG PYTHON_IMAGE=python:3.11-slim-trixie

# --- what each service is built from -----------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /build
COPY pyproject.toml LICENSE ./
RUN touch README.md
COPY petsearch petsearch
COPY services services
COPY training training
COPY web web
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --disable-pip-version-check --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS build
# What is listed is installed, if its files have the hashes listed, and nothing else (`make lock`).
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_DEPS=1 \
    PIP_PYTHON=/opt/petsearch/bin/python
WORKDIR /build
RUN python -m venv --without-pip /opt/petsearch

FROM build AS api-packages
COPY infra/images/api.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes --requirement api.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir /wheels/*

FROM build AS worker-packages
COPY infra/images/worker.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes --requirement worker.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir /wheels/*

FROM build AS embedder-packages
# Unset: torch comes from the default index with its CUDA libraries (5.6 GB). Set to an index with
# CPU builds: torch and torchvision both come from there, because they must be of the same build;
# that index vouches for their files.
ARG TORCH_INDEX_URL=
COPY constraints.txt infra/images/torch.txt infra/images/embedder.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$TORCH_INDEX_URL" ]; then \
      pip install --constraint constraints.txt --index-url "$TORCH_INDEX_URL" torch torchvision; \
    else \
      pip install --require-hashes --requirement torch.txt; \
    fi \
    && pip install --require-hashes --requirement embedder.txt

# --- what runs -----------------------------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS user
# New volumes belong to whom the folders here belong.
RUN groupadd --gid 10001 petsearch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp \
        --shell /usr/sbin/nologin petsearch \
    && install --directory --owner 10001 --group 10001 /var/spool/petsearch /models /runs
ENV HOME=/tmp \
    PATH=/opt/petsearch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp

FROM user AS runtime
# Nothing is installed in a running container.
RUN pip uninstall --yes --root-user-action ignore setuptools wheel pip
USER 10001:10001

FROM runtime AS api
COPY --from=api-packages /opt/petsearch /opt/petsearch
# Uploads are spooled to TMPDIR: on disk, while /tmp is memory.
ENV TMPDIR=/var/spool/petsearch
EXPOSE 8000
# docker-compose.yml runs the same check more often.
HEALTHCHECK --interval=15s --timeout=5s --retries=2 --start-period=3m \
    CMD ["python", "-c", "import http.client, sys; server = http.client.HTTPConnection('127.0.0.1', 8000, timeout=3); server.request('GET', '/readyz'); sys.exit(server.getresponse().status != 200)"]
# Connections are kept open longer than the proxy keeps them; draining ends before the container's
# grace period does.
CMD ["uvicorn", "--factory", "services.api.main:create_app", "--host", "0.0.0.0", \
     "--port", "8000", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "20", \
     "--http", "services.http.protocol:BoundedProtocol", \
     "--no-access-log", "--no-server-header", "--no-proxy-headers"]

FROM runtime AS worker
COPY --from=worker-packages /opt/petsearch /opt/petsearch
# Large photos are spooled to TMPDIR, one per decoding thread: on disk, while /tmp is memory.
ENV TMPDIR=/var/spool/petsearch
# The consumer itself responds, over the broker. docker-compose.yml runs the same check.
HEALTHCHECK --interval=15s --timeout=10s --retries=2 --start-period=3m \
    CMD ["python", "-m", "services.worker.ping"]
CMD ["python", "-m", "services.worker.main"]

FROM user AS torch
COPY --from=embedder-packages /opt/petsearch /opt/petsearch
# A layer of its own: a change of our code does not copy torch again.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/petsearch/bin/python install --no-cache-dir --no-deps /wheels/*
# Weights are downloaded once, into the volume mounted here.
ENV HF_HOME=/models \
    HF_HUB_DISABLE_TELEMETRY=1

FROM torch AS trainer
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=infra/images/trainer.txt,target=/tmp/trainer.txt \
    pip --python /opt/petsearch/bin/python install --no-deps --require-hashes \
        --requirement /tmp/trainer.txt \
    && pip uninstall --yes --root-user-action ignore setuptools wheel pip
WORKDIR /runs
USER 10001:10001

FROM torch AS embedder
RUN pip uninstall --yes --root-user-action ignore setuptools wheel pip
USER 10001:10001
EXPOSE 8100
# docker-compose.yml runs the same check more often.
HEALTHCHECK --interval=15s --timeout=5s --retries=2 --start-period=30m \
    CMD ["python", "-c", "import http.client, sys; server = http.client.HTTPConnection('127.0.0.1', 8100, timeout=3); server.request('GET', '/readyz'); sys.exit(server.getresponse().status != 200)"]
# Connections are kept longer than the clients keep them; draining ends before the container's
# grace period does.
CMD ["uvicorn", "--factory", "services.embedder.main:create_app", "--host", "0.0.0.0", \
     "--port", "8100", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "20", \
     "--http", "services.http.protocol:BoundedProtocol", \
     "--no-access-log", "--no-server-header"]
