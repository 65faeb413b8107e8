#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building and testing needs from Debian's packages (Debian 12 or a relative of it).
set -e
packages="g++ meson ninja-build cmake pkg-config git nlohmann-json3-dev libcli11-dev libdnnl-dev libopenblas-dev zlib1g-dev libxtensor-dev doctest-dev python3-jsonschema python3-dev python3-venv"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
run=""
[ "$(id -u)" = 0 ] || run=sudo
$run apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing
