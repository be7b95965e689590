/* SPDX-License-Identifier: MIT */
/* sqlite_revival_test: which keys of ended contexts come back. */
#include <stdlib.h>

#include "databases.h"
#include "scratch.h"

static nacre_sqlite_context described(size_t index)
{
    nacre_sqlite_context c;
    memset(&c, 0, sizeof c);
    fleet_describe(&c.info, index);
    return c;
}

/* With it the row of the first would forget its Recipient Key, which a third context could then have with a known window. */
static void a_sender_key_does_not_come_back_with_another_recipient(void **state)
{
    (void)state;
    char *scratch = scratch_make();
    const char *path = scratch_path(scratch, "fleet.db");
    nacre_detail why = { "" };
    db_make(path, 0);
    nacre_sqlite *db = db_open(path);
    nacre_sqlite_context c = described(70), other = described(70), third = described(70);
    int64_t id = 0;
    other.info.recipient_id[0] ^= 0x40;
    third.info.sender_id[0] = 9; /* the Recipient Key of the first */
    assert_ok(nacre_sqlite_add(db, &id, 1, db_given, &c, &why));
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    assert_err(nacre_sqlite_add(db, NULL, 1, db_given, &other, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "another Recipient Key"));
    assert_ok(nacre_sqlite_add(db, &id, 1, db_given, &third, &why));
    assert_false(db_row(db, id).info.window_known);
    assert_ok(nacre_sqlite_remove(db, &id, 1, &why));
    assert_ok(nacre_sqlite_add(db, &id, 1, db_given, &c, &why));
    assert_false(db_row(db, id).info.window_known);
    db_close(db);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_sender_key_does_not_come_back_with_another_recipient, test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
