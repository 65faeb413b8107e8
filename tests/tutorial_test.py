#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The commands of docs/tutorial.md do what the tutorial shows.

Usage: tutorial_test.py BUILD, from the source root. Every block ```sh of the document is run in a fresh directory where the source's folders and `build` are
found, and must print the block that follows, line by line. Numbers with a point or of three digits are not compared: the machine has a say in them.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

DOCUMENT = pathlib.Path("docs/tutorial.md")


def blocks():
    """Pairs of a command and what it prints: the next block, if that is no command."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    for i, (language, text) in enumerate(fences):
        if language == "sh":
            shown = fences[i + 1][1] if i + 1 < len(fences) and fences[i + 1][0] == "" else ""
            yield text, shown


def masked(text):
    return re.sub(r"-?\d+\.\d+(e[-+]\d+)?|\d{3,}", "#", text).rstrip().splitlines()


def main():
    source, build = pathlib.Path.cwd(), pathlib.Path(sys.argv[1]).resolve()
    commands = list(blocks())
    assert len(commands) >= 6, "the tutorial has lost its commands"
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "tests").symlink_to(source / "tests")
        pathlib.Path(folder, "build").symlink_to(build)
        before = ""
        for command, shown in commands:
            if command.startswith("export "):  # for the commands after it
                before += command
                continue
            run = subprocess.run(["sh", "-c", before + command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if masked(run.stdout) != masked(shown):
                sys.exit(f"$ {command}prints\n{run.stdout}but the tutorial shows\n{shown}")


if __name__ == "__main__":
    main()
