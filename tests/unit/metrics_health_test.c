/* SPDX-License-Identifier: MIT */
/* metrics_health_test: /healthz and /readyz of nacre serve, by what the server's figures are. */
#include "support.h"

#include "../../tools/nacre/metrics_health.h"

static void each_cause_has_its_text(void **state)
{
    static const struct {
        const char *name;
        uint64_t busy_ms, contexts, databases;
        size_t num_failing;
        const char *health, *readiness;
    } rows[] = {
        { "all is well", 0, 1, 0, 0, "ok", "ok" },
        { "at work for long", METRICS_HANGS_MS - 1, 1, 0, 0, "ok", "ok" },
        { "hangs", METRICS_HANGS_MS, 1, 0, 0, "a worker has been at work for 10 s without waiting",
          "a worker has been at work for 10 s without waiting" },
        { "no context", 0, 0, 0, 0, "ok", "there is no security context: add one to the configuration, and reload" },
        { "a database, of which nothing is loaded yet", 0, 0, 1, 0, "ok", "ok" },
        { "one store fails", 0, 2, 0, 1, "ok", "the store of 1 context fails" },
        { "two stores fail", 0, 2, 0, 2, "ok", "the store of 2 contexts fails" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nacre_server_stats stats = { .busy_ms = rows[i].busy_ms,
                                           .contexts = rows[i].contexts,
                                           .databases = rows[i].databases,
                                           .store_health.num_failing = rows[i].num_failing };
        const metrics_verdict health = metrics_health(&stats), readiness = metrics_readiness(&stats);
        if (strcmp(health.text, rows[i].health) != 0 || strcmp(readiness.text, rows[i].readiness) != 0)
            fail_msg("%s: '%s', '%s'", rows[i].name, health.text, readiness.text);
        assert_int_equal(health.is_good, strcmp(health.text, "ok") == 0);
        assert_int_equal(readiness.is_good, strcmp(readiness.text, "ok") == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(each_cause_has_its_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
