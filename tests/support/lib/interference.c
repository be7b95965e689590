/* SPDX-License-Identifier: MIT */
#include "interference.h"

#include <string.h>

void interference_run(const interference_table *table)
{
    for (size_t row = 0; row < table->num_rows; row++) {
        print_message("           %s\n", table->name(row));
        for (size_t write = 0; write <= table->num_writes; write++) {
            void *state = NULL;
            (void)table->set_up(&state);
            table->one_case(state, row, write);
            (void)table->tear_down(&state);
        }
    }
}

void interference_expect(const nacre_detail *why, const char *told)
{
    if (strstr(why->text, told) == NULL || strstr(why->text, "stopped") == NULL) fail_msg("%s", why->text);
}
