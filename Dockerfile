# The pages are built in an image of their own, so that Node is not part of what runs.
FROM node:24-slim AS pages
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM python:3.13-slim
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    WANGGE_DATA=/data \
    WANGGE_HOST=0.0.0.0 \
    WANGGE_PORT=8000
WORKDIR /app

# what changes rarely first: the locked packages are a layer of their own
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps -r requirements.lock

COPY pyproject.toml LICENSE README.md CHANGELOG.md ./
COPY geo geo
COPY sync sync
COPY server server
RUN pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q geo sync server
COPY --from=pages /web/dist web/dist

RUN useradd --system --uid 10001 --home-dir /data --create-home wangge && chmod 700 /data
USER wangge
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["wangge", "serve"]
