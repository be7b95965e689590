#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# readme: the programs in README.md are those in examples/, which every build compiles, and it links every public header but io.h,
# which only includes others.
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
for path in "$source_dir"/include/nacre/*.h; do
    header=${path##*/}
    if [ "$header" != io.h ] && [[ $readme != *"[$header](include/nacre/$header)"* ]]; then
        echo "not ok - README.md does not link $header"
        exit 1
    fi
done
echo 'ok - README.md links every public header'
