# The segmentation worker. EXTRAS="" gives the bundled model on the CPU.
# The GPU profile builds with EXTRAS="[sam3]": torch with CUDA comes from the package index then.
FROM python:3.11-slim AS build
ARG EXTRAS=""
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agent agent
COPY api api
COPY prompts prompts
COPY segmenter segmenter
COPY benchmarks benchmarks
RUN python -m venv /opt/medsam3 \
    && /opt/medsam3/bin/pip install --no-cache-dir -c constraints.txt ".${EXTRAS}"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin medsam3
COPY --from=build /opt/medsam3 /opt/medsam3
ENV PATH=/opt/medsam3/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/medsam3
# A worker has no port: it is healthy when its heartbeat is in Redis, which doctor looks up.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 \
    CMD ["medsam3", "doctor", "--worker"]
STOPSIGNAL SIGTERM
CMD ["medsam3", "worker"]
