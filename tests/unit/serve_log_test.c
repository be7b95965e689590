/* SPDX-License-Identifier: MIT */
/* serve_log_test: repeated events are counted instead of written, and the text of an event cannot make lines or control a
 * terminal. */
#include "serve_log.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int kept_stderr;
static FILE *captured;

static void begin(serve_format format)
{
    captured = tmpfile();
    assert_non_null(captured);
    (void)fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    assert_true(kept_stderr >= 0 && dup2(fileno(captured), STDERR_FILENO) >= 0);
    serve_log_set(SERVE_INFO, format);
}

/* What was written since. */
static const char *end(void)
{
    static char text[65536];
    serve_log_end();
    assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
    (void)close(kept_stderr);
    rewind(captured);
    const size_t len = fread(text, 1, sizeof text - 1, captured);
    text[len] = '\0';
    (void)fclose(captured);
    return text;
}

static unsigned num_lines(const char *text)
{
    unsigned num = 0;
    for (; *text != '\0'; text++) num += *text == '\n';
    return num;
}

static void repeated_events_are_counted_instead_of_written(void **state)
{
    (void)state;
    begin(SERVE_PLAIN);
    for (int i = 0; i < 100; i++) serve_log(SERVE_WARNING, "limit", NULL, "event %d", i);
    serve_log(SERVE_WARNING, "store", NULL, "another"); /* has a count of its own */
    const char *text = end();
    assert_int_equal(num_lines(text), 5 + 1 + 1);
    assert_non_null(strstr(text, "nacre serve: event 4\n"));
    assert_null(strstr(text, "event 5\n"));
    assert_non_null(strstr(text, "nacre serve: another\n"));
    assert_non_null(strstr(text, "95 more events 'limit' were left out\n"));
}

static void events_of_the_operator_are_all_written(void **state)
{
    (void)state;
    begin(SERVE_PLAIN);
    for (int i = 0; i < 100; i++) serve_log(SERVE_INFO, "reload", NULL, "reload %d", i);
    assert_int_equal(num_lines(end()), 100);
}

static void a_text_is_one_line_without_control_characters(void **state)
{
    static const char evil[] = "a\nb\r\x1b[31m\xe2\x80\xae\xff\"\\";
    const serve_field fields[] = { { "peer", evil }, { NULL, NULL } };
    (void)state;
    for (int format = SERVE_PLAIN; format <= SERVE_JOURNAL; format++) {
        begin((serve_format)format);
        serve_log(SERVE_INFO, "ready", fields, "%s", evil);
        serve_log_request(evil, fields);
        const char *text = end();
        assert_int_equal(num_lines(text), 2);
        for (const char *at = text; *at != '\0'; at++)
            if (*at != '\n' && ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f))
                fail_msg("format %d: %s", format, text);
    }
}

static void a_level_leaves_out_what_is_below_it(void **state)
{
    (void)state;
    begin(SERVE_LINES);
    serve_log_set(SERVE_WARNING, SERVE_LINES);
    serve_log(SERVE_INFO, "ready", NULL, "left out");
    serve_log(SERVE_WARNING, "reload", NULL, "written");
    assert_true(serve_log_has(SERVE_ERROR) && !serve_log_has(SERVE_INFO));
    const char *text = end();
    assert_int_equal(num_lines(text), 1);
    assert_non_null(strstr(text, "Z warning reload: written\n"));
}

static void a_long_text_is_cut_and_is_one_line(void **state)
{
    char longer[20000];
    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const serve_field fields[] = { { "path", longer }, { NULL, NULL } };
    for (int format = SERVE_PLAIN; format <= SERVE_JOURNAL; format++) {
        begin((serve_format)format);
        serve_log(SERVE_INFO, "ready", fields, "%s", longer);
        serve_log_request(longer, fields);
        const char *text = end();
        assert_int_equal(num_lines(text), 2);
        assert_true(strlen(text) < 16384);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_events_are_counted_instead_of_written),
        cmocka_unit_test(events_of_the_operator_are_all_written),
        cmocka_unit_test(a_text_is_one_line_without_control_characters),
        cmocka_unit_test(a_level_leaves_out_what_is_below_it),
        cmocka_unit_test(a_long_text_is_cut_and_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
