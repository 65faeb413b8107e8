// SPDX-License-Identifier: MIT
#include "torch_ir/file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>

#include "support/bytes.hpp"
#include "support/files.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace fs = std::filesystem;

namespace {

std::size_t files_in(const fs::path& path) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

}  // namespace

TEST_SUITE("file") {
    TEST_CASE("a mapped file shows the bytes of the file") {
        const TemporaryDirectory directory;
        const auto file = map_file(directory.add("f", "abc"));
        CHECK(std::ranges::equal(file->bytes(), as_bytes("abc")));
        CHECK(file->path() == directory.path() / "f");
        CHECK(map_file(directory.add("empty", ""))->bytes().empty());
    }

    TEST_CASE("what cannot be mapped is named with the system's reason") {
        const TemporaryDirectory directory;
        const std::string missing = (directory.path() / "missing").string();
        CHECK_THROWS_WITH_AS(map_file(missing), ("cannot open '" + missing + "': No such file or directory").c_str(),
                             IoError);
        CHECK_THROWS_WITH_AS(map_file("/"), "cannot read '/': Is a directory", IoError);
        CHECK_THROWS_WITH_AS(map_file("/dev/null"), "cannot read '/dev/null': expected a regular file", IoError);
        const std::string pipe = (directory.path() / "pipe").string();
        REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
        CHECK_THROWS_WITH_AS(map_file(pipe), ("cannot read '" + pipe + "': expected a regular file").c_str(), IoError);
    }

    TEST_CASE("a written file appears at commit, whole") {
        const TemporaryDirectory directory;
        const auto path = directory.add("f", "old");
        const std::string large(200'000, 'x');
        {
            FileWriter writer(path);
            writer.write("new");
            writer.write(large);
            writer.write("end");
            CHECK(read_text(path) == "old");
            writer.commit();
        }
        CHECK(read_text(path) == "new" + large + "end");
        CHECK(files_in(directory.path()) == 1);
    }

    TEST_CASE("without commit the old file stays and the temporary one goes") {
        const TemporaryDirectory directory;
        const auto path = directory.add("f", "old");
        { FileWriter(path).write("new"); }
        CHECK(read_text(path) == "old");
        CHECK(files_in(directory.path()) == 1);
    }

    TEST_CASE("a symbolic link is written through") {
        const TemporaryDirectory directory;
        const auto path = directory.add("f", "old");
        fs::create_symlink("f", directory.path() / "link");
        write_file(directory.path() / "link", "new");
        CHECK(fs::is_symlink(directory.path() / "link"));
        CHECK(read_text(path) == "new");
    }

    TEST_CASE("files are the same by what they are, whatever they are called, also before they are written") {
        const TemporaryDirectory directory;
        const fs::path folder = directory.path(), file = directory.add("f", "x"), other = directory.add("g", "x");
        fs::create_symlink("f", folder / "link");
        fs::create_hard_link(file, folder / "hard");
        CHECK(are_same_file(file, file));
        CHECK(are_same_file(file, folder / "link"));
        CHECK(are_same_file(file, folder / "hard"));
        CHECK(are_same_file(file, fs::relative(file)));
        CHECK_FALSE(are_same_file(file, other));
        CHECK_FALSE(are_same_file(file, folder / "new"));
        CHECK(are_same_file(folder / "new", folder / "." / "new"));
        CHECK(are_same_file("new", "./new"));
        CHECK_FALSE(are_same_file(folder / "new", folder / "newer"));
        fs::create_directory_symlink(".", folder / "here");
        CHECK(are_same_file(folder / "new", folder / "here" / "new"));
    }

    TEST_CASE("devices, pipes, folders and empty paths are never the same file") {
        const TemporaryDirectory directory;
        const fs::path pipe = directory.path() / "pipe";
        REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
        for (const fs::path& path : {fs::path("/dev/null"), pipe, directory.path(), fs::path()})
            CHECK_FALSE(are_same_file(path, path));
        CHECK_FALSE(are_same_file("", directory.path() / "new"));
    }

    TEST_CASE("write errors name the target") {
        const TemporaryDirectory directory;
        CHECK_THROWS_WITH_AS(write_file("/dev/full", "x"), "cannot write '/dev/full': No space left on device",
                             IoError);
        const std::string folder = directory.path().string();
        CHECK_THROWS_WITH_AS(write_file(folder, "x"), ("cannot write '" + folder + "': Is a directory").c_str(),
                             IoError);
        const std::string missing = folder + "/missing/f";
        CHECK_THROWS_WITH_AS(write_file(missing, "x"),
                             ("cannot write '" + missing + "': No such file or directory").c_str(), IoError);
        CHECK_NOTHROW(write_file("/dev/null", "x"));
    }
}
