#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds everything and runs all tests; ends with the line `N passed, N failed`.
# With CI set, it also verifies the sentence encoder of examples/minilm and tests the Python package and the extractor if torch can be
# installed. With CI or SANITIZE set, it builds and tests under AddressSanitizer and UBSan first.
cd "$(dirname "$0")/.." || exit 1
tools/install_packages.sh || exit 1
status=0
logs=""

# build_and_test DIRECTORY MESON_OPTION...
build_and_test() {
    directory=$1
    shift
    [ -f "$directory/build.ninja" ] || meson setup "$directory" -Dtests=enabled "$@" || exit 1
    ninja -j "$(nproc)" -C "$directory" || exit 1  # more jobs, as ninja would start, slow each other down
    meson test -C "$directory" --print-errorlogs --no-rebuild --timeout-multiplier 5 || status=1
    logs="$logs $directory/meson-logs/testlog.json"
}

if [ -n "$CI" ]; then
    # Comes while the first build runs.
    tools/install_torch.sh build-torch > /dev/null &
fi
if [ -n "$CI$SANITIZE" ]; then
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    given=$TORCH_IR_PYTHON
    unset TORCH_IR_PYTHON  # what needs torch runs in the other build
    # Null pointers are AddressSanitizer's, too; what is not aligned is x86's own business.
    build_and_test build-sanitize -Db_sanitize=address,undefined -Dcpp_args=-fno-sanitize=null,alignment -Dbuildtype=plain -Doptimization=0 -Dcpu= -Dextractor=disabled
    unset UBSAN_OPTIONS
    [ -z "$given" ] || export TORCH_IR_PYTHON="$given"
fi
if [ -n "$CI" ]; then
    wait
    # Found by the test `minilm`; without it that test is skipped.
    TORCH_IR_PYTHON=$(tools/install_torch.sh build-torch) && export TORCH_IR_PYTHON
    # The Python package is built for that Python, or else for the system's.
    mkdir -p build-torch
    printf "[binaries]\npython = '%s'\n" "${TORCH_IR_PYTHON:-python3}" > build-torch/python.ini
    # The extractor, too, is built with its torch.
    build_and_test build-test -Dpython=auto --native-file build-torch/python.ini \
        -Dlibtorch="$("${TORCH_IR_PYTHON:-python3}" tools/find_libtorch.py)"
else
    build_and_test build-test
fi
# shellcheck disable=SC2086
python3 tools/count_tests.py $logs
exit $status
