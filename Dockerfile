# The example, as one image for web, worker, beat and migrate. No secrets are in it: all come from the environment.
FROM python:3.13-slim AS build
WORKDIR /app
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE ./
COPY twofa twofa
COPY example_project example_project
RUN pip install ".[documents,postgres,redis,s3]" -r example_project/requirements.txt
COPY manage.py gunicorn.conf.py ./
# Static files are made for this very code. The values are for this line alone, and open nothing.
RUN DEBUG=0 SECRET_KEY=of-the-build ALLOWED_HOSTS=localhost DATABASE_URL=sqlite:////tmp/build.sqlite3 \
    CELERY_BROKER_URL=redis://localhost VAR_DIR=/tmp STATIC_ROOT=/app/staticfiles \
    TWOFA_TOKEN_KEY=$(python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())') \
    python manage.py collectstatic --noinput --verbosity 0 && rm -rf twofa

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app && install --directory --owner=app --mode=700 /documents
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 BIND=0.0.0.0 PORT=8000 VAR_DIR=/tmp DOCUMENTS_FOLDER=/documents STATIC_ROOT=/app/staticfiles
EXPOSE 8000
CMD ["gunicorn", "example_project.wsgi"]
