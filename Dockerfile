# The app, and with another command the monitor. How to run them, and what to beware of: docs/settings.md, docs/monitor.md.
FROM python:3.13.9-slim-bookworm

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin bfai \
    && install -d -o bfai -g bfai -m 0700 /data

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements.txt
COPY LICENSE app.py ./
COPY .streamlit/config.toml .streamlit/
COPY bfai bfai/
COPY pages pages/
COPY data/sample_btc_usdt_5m.csv.gz data/sample_eth_usdt_5m.csv.gz data/

# Nothing is written but to /data, the volume, and /tmp.
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp BFAI_DATABASE_URL=sqlite:////data/bfai.db
VOLUME ["/data"]
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501", \
     "--server.headless=true", "--server.fileWatcherType=none", "--logger.level=warning"]
