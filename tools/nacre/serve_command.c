/* SPDX-License-Identifier: MIT */
/* serve_command: nacre serve: demo resources or a directory's files, for the peers of its contexts. */
#include "serve_check.h"
#include "serve_log.h"
#include "serve_running.h"

static int serve_with(serve_running *r)
{
    if (r->settings.help) return serve_help();
    if (r->settings.check_only) return serve_check(&r->settings);
    serve_log_set(r->settings.log_level, r->settings.log_format);
    const int result = serve_run(r);
    serve_log_end();
    return result;
}

int tool_serve(int argc, char **argv)
{
    static serve_running r; /* for a signal that comes late */
    r.argc = argc;
    r.argv = argv;
    serve_settings_init(&r.settings);
    int result = serve_settings_load(&r.settings, argc, argv);
    if (result == TOOL_OK) result = serve_with(&r);
    serve_settings_free(&r.settings);
    return result;
}
