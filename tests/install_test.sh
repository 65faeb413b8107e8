#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a temporary prefix, compiles examples/walk_graph.cpp with the installed header through pkg-config, and runs it.
# usage: install_test.sh SOURCE_DIR BUILD_DIR CXX
set -e
source=$1
build=$2
shift 2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$build" --no-rebuild --quiet
pc=$(dirname "$(find "$prefix" -name torch_ir.pc)")
export PKG_CONFIG_PATH="$pc" PKG_CONFIG_SYSROOT_DIR="$prefix"
# The system's own packages are not below the new root: only our own flags are taken.
flags=$(pkg-config --cflags-only-I torch_ir | tr ' ' '\n' | grep "$prefix" | head -n 1)
[ -n "$flags" ] || { echo "torch_ir.pc gives no include directory"; exit 1; }
"$@" -std=c++20 -O0 $flags "$source/examples/walk_graph.cpp" -o "$prefix/walk_graph"
"$prefix/walk_graph" "$source/examples/digits_cnn/model.pt2" | tee "$prefix/output" | tail -n 3
grep -q "stride 1, padding 1, groups 1" "$prefix/output"
tool=$(find "$prefix" -name torch-ir -type f)
"$tool" info "$source/examples/digits_cnn" | grep -q "DigitsCNN"
test -n "$(find "$prefix" -name torch_ir.schema.json)"
