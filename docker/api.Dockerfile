# The HTTP front and the agent. No torch: planning, drawing and the queue's client only need the base.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agent agent
COPY api api
COPY prompts prompts
COPY segmenter segmenter
COPY benchmarks benchmarks
RUN python -m venv /opt/medsam3 \
    && /opt/medsam3/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
# A fixed number, so that volumes can be prepared for it.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin medsam3
COPY --from=build /opt/medsam3 /opt/medsam3
ENV PATH=/opt/medsam3/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/medsam3
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["medsam3", "serve", "--host", "0.0.0.0", "--port", "8000"]
