#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of the Python package. Arguments: the Python it was built for and the folder it is in, if it was built.
if [ $# -lt 2 ]; then
    echo "the Python package was not built: it needs Python's headers and nanobind (see the configuration's warning)"
    exit 77
fi
for module in pytest torch; do
    if ! "$1" -c "import $module" 2>/dev/null; then
        echo "$1 has no $module"
        exit 77
    fi
done
PYTHONPATH=$2 PYTHONDONTWRITEBYTECODE=1 exec "$1" -m pytest -q -p no:cacheprovider python/tests
