#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds the tool and verifies a trained model with it.
set -e
cd "$(dirname "$0")/.."
tools/install_packages.sh
[ -f build/build.ninja ] || meson setup build -Dtests=disabled
ninja -j "$(nproc)" -C build
build/interpreter/torch-ir verify examples/digits_cnn
