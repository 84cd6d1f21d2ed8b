# offdag with all extras but reviews, for schedulers that run containers:
#
#   docker build -t offdag .
#   docker run --rm -v "$PWD:/work" -e OFFDAG_HISTORY=s3://my-bucket/offdag offdag monitor
#
# For `offdag job` build an image of your own from it, with your dbt: `RUN python -m venv /dbt && /dbt/bin/pip install dbt-snowflake`.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY tools/offdag tools/offdag
COPY monitor_project monitor_project
COPY inventory_project inventory_project
COPY offdag offdag
RUN pip install --no-cache-dir hatchling editables \
    && python -m hatchling build -t wheel -d /wheel \
    && python -m venv /offdag \
    && /offdag/bin/pip install --no-cache-dir "$(ls /wheel/*.whl)[report,postgres,s3,gcs,azure]"

FROM python:3.12-slim
COPY --from=build /offdag /offdag
# The user's own dbt comes first where there is one.
ENV PATH="/usr/local/bin:/dbt/bin:/usr/bin:/bin:/offdag/bin"
RUN useradd --create-home offdag
USER offdag
WORKDIR /work
ENTRYPOINT ["offdag"]
CMD ["--help"]
