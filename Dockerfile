# One image for every process of Dust; what it runs is its command: serve, worker, beat, flower, migrate.

FROM python:3.13-slim AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/dust \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /src
# What changes seldom comes first, so that a change of ours builds in seconds.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE celeryconfig.py ./
COPY bridge bridge
COPY workers workers
# Without the extra `embedded`: the servers are services of their own here.
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.13-slim
# The folder is for a volume, which takes its owner from here: Flower keeps its history in it.
RUN groupadd --system --gid 10001 dust && useradd --system --uid 10001 --gid dust --no-create-home dust \
    && install --directory --owner 10001 --group 10001 --mode 700 /var/lib/dust
COPY --from=build /opt/dust /opt/dust
# Inside the container every address; what the world may reach is for whoever publishes the port to say.
ENV PATH="/opt/dust/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    DUST_HOST=0.0.0.0 \
    DUST_DATA_DIR=/tmp/dust \
    DUST_LOG_FORMAT=json
USER 10001:10001
WORKDIR /tmp
EXPOSE 8600 5555
# How to ask after its health depends on the command: docker-compose.yml does it for each.
HEALTHCHECK NONE
ENTRYPOINT ["dust"]
CMD ["serve"]
