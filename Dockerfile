# The worker, the web page and the command: what needs a Kafka and a ClickHouse of its own.
FROM python:3.11.16-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY . .
RUN pip install --no-cache-dir --no-build-isolation --no-deps . \
    && useradd --create-home --uid 10001 upshot

USER upshot
WORKDIR /home/upshot
ENTRYPOINT ["upshot"]
CMD ["--help"]
