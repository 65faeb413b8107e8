#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a temporary prefix, compiles examples/walk_graph.cpp with the installed header through pkg-config, and runs it;
# then a program of a CMake project, which finds the library as installed and, in another build, as a folder of its own.
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

# from_cmake HOW_TO_FIND_THE_LIBRARY CMAKE_OPTION...
from_cmake() {
    rm -rf "$prefix/project"
    mkdir "$prefix/project"
    cat > "$prefix/project/CMakeLists.txt" << end
cmake_minimum_required(VERSION 3.16)
project(count LANGUAGES CXX)
$1
add_executable(count count.cpp)
target_link_libraries(count torch_ir::torch_ir)
end
    cat > "$prefix/project/count.cpp" << end
#include <cstdio>
#include <torch_ir/json.hpp>
int main(int, char** argv) { std::printf("%zu nodes\n", torch_ir::read_json(argv[1]).graph.nodes.size()); }
end
    shift
    cmake -S "$prefix/project" -B "$prefix/project/build" "$@" > "$prefix/log" && cmake --build "$prefix/project/build" >> "$prefix/log" ||
        { cat "$prefix/log"; exit 1; }
    "$prefix/project/build/count" "$prefix/ir.json"
}
"$tool" extract "$source/examples/digits_cnn/model.pt2" -o "$prefix/ir.json" --quiet
config=$(dirname "$(find "$prefix" -name torch_irConfig.cmake)")
[ "$(from_cmake "find_package(torch_ir 0.1 REQUIRED)
find_package(torch_ir REQUIRED)  # as two parts of a project may" "-Dtorch_ir_DIR=$config")" = "11 nodes" ]
[ "$(from_cmake "add_subdirectory($source torch_ir)")" = "11 nodes" ]
! (from_cmake "find_package(torch_ir 99 REQUIRED)" "-Dtorch_ir_DIR=$config") > "$prefix/refused" 2>&1
grep -q 'requested version "99' "$prefix/refused"
