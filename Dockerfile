# Metricat's three images, one target each:
#
#   docker build --target agent --tag metricat/agent:0.1.0 .
#   docker build --target operator --tag metricat/operator:0.1.0 .
#   docker build --target hub --tag metricat/hub:0.1.0 .
#
# BASE is any image with glibc and Python 3.11; its shell is used for building only.
# A context that holds `wheelhouse/` (`make images` lays one) builds from that alone, without a network.

ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# The seed makes bytecode the same whenever it is compiled.
ENV PYTHONHASHSEED=0 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# The brackets make a pattern: COPY takes one that matches nothing, and refuses a folder that is not there.
COPY tools/src/metricat_tools/images/build.txt wheelhous[e] wheelhouse/
# Without pip in the base image, Python runs pip from its wheel in the wheelhouse: a wheel is a zip file.
RUN if [ -e wheelhouse/pip-*.whl ]; then \
        printf '[global]\nno-index = true\nfind-links = /src/wheelhouse\n' >/etc/pip.conf; \
        export PYTHONPATH=$(echo wheelhouse/pip-*.whl); \
    fi \
    && python3 -m venv --without-pip /build \
    && python3 -m pip --python /build/bin/python install --require-hashes --requirement wheelhouse/build.txt \
    && python3 -m venv --without-pip /opt/metricat \
    && rm /opt/metricat/bin/[Aa]ctivate*

# Bytecode is compiled for good (`unchecked-hash`): times are not kept, so what pip compiled would count as stale, and
# where it runs the root is read-only.
FROM build AS build-agent
COPY requirements/agent.txt requirements/
RUN /build/bin/pip --python /opt/metricat/bin/python install --require-hashes --requirement requirements/agent.txt \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib
COPY agent agent
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist ./agent \
    && /build/bin/pip --python /opt/metricat/bin/python install --no-deps dist/*.whl \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib/*/*/metricat_agent

FROM build AS build-operator
COPY requirements/operator.txt requirements/
RUN /build/bin/pip --python /opt/metricat/bin/python install --require-hashes --requirement requirements/operator.txt \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib
COPY rules rules
COPY operator operator
COPY cli cli
# With the command line: `helm test` runs `metricat check`.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist ./rules ./operator ./cli \
    && /build/bin/pip --python /opt/metricat/bin/python install --no-deps dist/*.whl \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib/*/*/metricat_*

FROM build AS build-hub
COPY requirements/hub.txt requirements/
RUN /build/bin/pip --python /opt/metricat/bin/python install --require-hashes --requirement requirements/hub.txt \
    && find /opt/metricat/lib -path "*/numpy/*" -type d -name tests -prune -exec rm -r {} + \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib
COPY rules rules
COPY agent agent
COPY cli cli
COPY hub hub
# Without metricat-operator, which only `metricat backtest` needs.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist ./rules ./agent ./cli ./hub \
    && /build/bin/pip --python /opt/metricat/bin/python install --no-deps dist/*.whl \
    && /opt/metricat/bin/python -m compileall -qqf --invalidation-mode unchecked-hash /opt/metricat/lib/*/*/metricat_* \
    && mkdir /opt/data && chown 65531:65531 /opt/data

# Debian's `su` and `newgrp` run as root for each user. No process in these images needs that.
FROM ${BASE} AS runtime
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +

FROM runtime AS agent
ARG VERSION=dev
LABEL org.opencontainers.image.title="metricat-agent" \
      org.opencontainers.image.description="A small exporter of one node, with node_exporter's metric names" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-agent /opt/metricat /opt/metricat
ENV PATH=/opt/metricat/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 65534:65534
ENTRYPOINT ["metricat-agent"]

FROM runtime AS operator
ARG VERSION=dev
LABEL org.opencontainers.image.title="metricat-operator" \
      org.opencontainers.image.description="Keeps exporters, monitors and alert rules in step with MonitoringTargets" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-operator /opt/metricat /opt/metricat
ENV PATH=/opt/metricat/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# kopf requires the user's name, and /etc/passwd may lack the number.
ENV LOGNAME=metricat
WORKDIR /
USER 65532:65532
ENTRYPOINT ["metricat-operator"]

FROM runtime AS hub
ARG VERSION=dev
LABEL org.opencontainers.image.title="metricat-hub" \
      org.opencontainers.image.description="Collects, stores and queries the metrics of many machines in one process" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-hub /opt/metricat /opt/metricat
COPY --from=build-hub --chown=65531:65531 /opt/data /data
ENV PATH=/opt/metricat/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV METRICAT_HUB_DATA=/data
WORKDIR /
USER 65531:65531
VOLUME /data
EXPOSE 8428
ENTRYPOINT ["metricat-hub"]
