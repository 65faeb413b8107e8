#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds everything in build-test and runs all tests; ends with the line `N passed, N failed`.
cd "$(dirname "$0")/.." || exit 1
tools/install_packages.sh || exit 1
[ -f build-test/build.ninja ] || meson setup build-test -Dtests=enabled || exit 1
ninja -C build-test || exit 1
meson test -C build-test --print-errorlogs --no-rebuild
status=$?
python3 tools/count_tests.py build-test/meson-logs/testlog.json
exit $status
