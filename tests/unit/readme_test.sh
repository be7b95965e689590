#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# readme: the programs in README.md are those in examples/, which every build compiles.
set -euo pipefail
source_dir=$2
readme=$(<"$source_dir/README.md")
for example in tiny_client tiny_server; do
    shown='```c
'$(<"$source_dir/examples/$example.c")'
```'
    if [[ $readme != *"$shown"* ]]; then
        echo "not ok - README.md does not show examples/$example.c as it is"
        exit 1
    fi
    echo "ok - README.md shows examples/$example.c"
done
