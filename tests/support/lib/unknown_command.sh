# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# unknown_command.sh: a command that does not exist, say a check that is not defined, ends the script that sources this with
# a failure. Without `set -e` bash would go on, and the check would check nothing.
command_not_found_handle() { # bash calls it in a child process: an exit or a counter would not reach the script
    echo "FAILED: there is no command or function '$1'" >&2
    kill -TERM $$
    return 127
}
