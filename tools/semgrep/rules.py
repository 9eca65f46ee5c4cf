"""Examples of tools/semgrep/rules.yaml. `make scan-code` checks that each rule reports the lines after `ruleid`, and no others."""

import asyncio
import bz2
import contextlib
import gzip
import http.client
import json
import os
import re
import smtplib
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import cramjam
import httpx2
import msgspec
import yaml
from yaml import CSafeLoader, FullLoader


def yaml_text(text):
    # ruleid: yaml-without-safe-loader
    yaml.load(text, Loader=FullLoader)
    # ruleid: yaml-without-safe-loader
    yaml.unsafe_load(text)
    # ok: yaml-without-safe-loader
    yaml.load(text, Loader=CSafeLoader)
    # ok: yaml-without-safe-loader
    yaml.safe_load(text)


async def programs(name):
    # ruleid: shell
    subprocess.run(f"mount {name}", shell=True)
    # ruleid: shell
    os.system(name)
    # ruleid: shell
    await asyncio.create_subprocess_shell(name)
    # ok: shell
    subprocess.run(["mount", name])


def connections(url, host):
    # ruleid: connection-without-timeout
    urllib.request.urlopen(url)
    # ruleid: connection-without-timeout
    http.client.HTTPSConnection(host, 443)
    # ruleid: connection-without-timeout
    socket.create_connection((host, 25))
    # ruleid: connection-without-timeout
    smtplib.SMTP(host)
    # ok: connection-without-timeout
    urllib.request.urlopen(url, timeout=5)
    # ok: connection-without-timeout
    http.client.HTTPSConnection(host, 443, timeout=5)
    # ok: connection-without-timeout
    socket.create_connection((host, 25), 5)


def comparisons(settings, password, token, request):
    # ruleid: secret-compared-with-operator
    password == settings.expected
    # ruleid: secret-compared-with-operator
    request.value != settings.session_token
    # ok: secret-compared-with-operator
    password == ""
    # ok: secret-compared-with-operator
    token.kind == "name"


def logs(logger, settings, password, password_file):
    # ruleid: secret-in-log
    logger.warning("rejected %s", password)
    # ruleid: secret-in-log
    print(f"rejected {settings.session_token}")
    # ruleid: secret-in-log
    raise ValueError(f"{password!r} is too short")
    # ruleid: secret-in-log
    logger.info("login", token=settings.session_token)
    # ok: secret-in-log
    verify(settings.name, password)
    # ok: secret-in-log
    logger.warning("cannot read %s", password_file)


def silence(job):
    # ruleid: silent-exception
    try:
        job()
    except Exception:
        pass
    # ruleid: silent-exception
    with contextlib.suppress(Exception):
        job()
    # ok: silent-exception
    try:
        job()
    except OSError:
        pass


def host_files(host, name):
    # ruleid: host-path-without-root
    open("/proc/stat")
    # ruleid: host-path-without-root
    os.listdir("/sys/class/net")
    # ruleid: host-path-without-root
    Path("/etc/os-release")
    # ok: host-path-without-root
    open(f"{host.procfs}/stat")


def served_files(request, folder, pages):
    name = request.path_params["name"]
    # ruleid: path-of-a-request
    (folder / name).read_bytes()
    # ruleid: path-of-a-request
    open("/srv/" + request.query_params["file"])
    # ok: path-of-a-request
    (folder / pages[0]).read_bytes()


def bodies(data):
    # ruleid: decompression-without-limit
    zlib.decompress(data)
    # ruleid: decompression-without-limit
    gzip.decompress(data)
    # ruleid: decompression-without-limit
    bz2.decompress(data)
    # ruleid: decompression-without-limit
    cramjam.snappy.decompress_raw(data)
    inflate = zlib.decompressobj()
    # ruleid: decompression-without-limit
    inflate.decompress(data)
    # ok: decompression-without-limit
    zlib.decompressobj().decompress(data, 1 << 20)


def patterns(pattern, text, settings):
    # ruleid: backtracking-pattern-of-a-user
    re.compile(pattern)
    # ruleid: backtracking-pattern-of-a-user
    re.search(settings.pattern, text)
    # ruleid: backtracking-pattern-of-a-user
    re.compile(pattern.encode())
    # ok: backtracking-pattern-of-a-user
    re.compile(r"[a-z]+")
    # ok: backtracking-pattern-of-a-user
    re.fullmatch(LABEL_NAME, text)


def contexts(url):
    context, other = ssl.create_default_context(), ssl.create_default_context()
    # ruleid: tls-without-verification
    other.check_hostname = False
    # ok: tls-without-verification
    context.check_hostname = False
    # ruleid: tls-without-verification
    context.verify_mode = ssl.CERT_NONE
    # ruleid: tls-without-verification
    httpx2.get(url, verify=False)
    # ok: tls-without-verification
    context.verify_mode = ssl.CERT_REQUIRED


def responses(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            # ruleid: body-without-limit
            response.read()
        with urllib.request.urlopen(url, timeout=5) as response:
            # ruleid: body-without-limit
            json.load(response)
        with urllib.request.urlopen(url, timeout=5) as response:
            # ok: body-without-limit
            response.read(1 << 20)
    except urllib.error.HTTPError as error:
        # ruleid: body-without-limit
        error.read()
    # ok: body-without-limit
    Path("answer").open().read()


def json_texts(body):
    # ruleid: json-of-others
    msgspec.json.decode(body, type=list)
    # ok: json-of-others
    decode_json(body, list)
