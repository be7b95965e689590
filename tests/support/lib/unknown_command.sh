# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# unknown_command.sh: an unknown command, e.g. an undefined check, ends the script that sources this with a failure.
# Without `set -e` bash would continue, and the check would have no effect.
command_not_found_handle() { # bash calls it in a child process: an exit or a counter would not reach the script
    echo "FAILED: there is no command or function '$1'" >&2
    kill -TERM $$
    return 127
}
