# The worker, the web page and the command: what needs a Kafka and a ClickHouse of its own.
FROM python:3.11-slim

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
