/* SPDX-License-Identifier: MIT */
/* serve_config: when libyaml was not there at build. */
#include "serve_settings.h"
#include "base/hosted/detail.h"

nacre_err serve_config_read(serve_settings *s, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                       "%s: this nacre was built without libyaml, which reads configuration files; give options",
                       s->config);
}
