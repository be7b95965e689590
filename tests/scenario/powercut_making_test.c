/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* powercut_making_test: power is cut, and calls fail, while directories are made, converted and adopted: afterwards the
 * directory holds the true state, or cannot be opened. */
#include "powercut.h"

/* ---- From one layout to the other ---- */

/* A directory after use and close; gives the content of the disk. */
static disk *used_and_closed(nacre_role first)
{
    static const step steps[] = { { OPEN, 1 }, { SEND, 12 }, { REQUEST, 5 }, { SEND, 3 }, { CLOSE, 1 } };
    role = first;
    either_layout = false;
    put_fresh();
    calls_begin(directories.root, never_used());
    run(directories.root, steps, COUNT(steps));
    nothing_wrong(NULL);
    rewind_the_wire((uint32_t)calls.num_ops);
    either_layout = true;
    return disk_load(directories.root);
}

/* The same with the secret under its other name, which a conversion changes. */
static disk *with_the_other_name(void)
{
    char from[4300], to[4300];
    snprintf(from, sizeof from, "%s/device/secret.json", directories.root);
    snprintf(to, sizeof to, "%s/device/secrets.json", directories.root);
    if (rename(from, to) != 0) fail_msg("rename");
    return disk_load(directories.root);
}

static nacre_err convert(const disk *base, fault_kind kind, unsigned at, int error)
{
    nacre_detail why;
    char path[4200];
    disk_choice latest;
    disk_choose_latest(&latest);
    disk_put(base, &latest, directories.root);
    snprintf(path, sizeof path, "%s/device", directories.root);
    calls_begin(directories.root, base);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    nacre_err err = nacre_directory_convert(path, role == NACRE_ROLE_NONE ? NACRE_LAYOUT_LEGACY : NACRE_LAYOUT_NEWEST,
                                            NACRE_ROLE_SERVER, &why);
    calls_end();
    counted.faults += calls.fault.hit;
    return err;
}

/* Whichever call fails and whenever power is cut: one of the two layouts opens, with the true state. */
static void an_interrupted_conversion_leaves_one_true_layout(void **state)
{
    (void)state;
    for (nacre_role first = NACRE_ROLE_NONE; first <= NACRE_ROLE_SERVER; first += NACRE_ROLE_SERVER) {
        disk *base = used_and_closed(first);
        disk_free(base);
        base = with_the_other_name();
        assert_ok(convert(base, FAULT_NONE, 0, 0));
        unsigned num_calls = calls.calls;
        size_t num_ops = calls.num_ops;
        nothing_wrong(cut_everywhere(base, 0, 1, SAMPLED ? 4 : 16, DISK_HONEST));
        assert_non_null(cut_everywhere(base, 0, 1, 16, DISK_NO_FILE_SYNC | DISK_NO_DIR_SYNC));
        for (unsigned at = 1; at <= num_calls; at++)
            for (size_t e = SAMPLED_FIRST(at, COUNT(errors)); e < COUNT(errors); e += SAMPLED_STEP(COUNT(errors)))
                for (fault_kind kind = FAULT_ONCE; kind <= FAULT_SHORT; kind++) {
                    (void)convert(base, kind, at, errors[e]);
                    nothing_wrong(cut_everywhere(base, at % 3, 3, 2, DISK_HONEST));
                }
        /* A file system without hard links: the secret's new name is a copy. */
        unsigned copies = 0;
        for (unsigned at = 1; at <= num_calls; at++) {
            bool copied = convert(base, FAULT_ONCE, at, EPERM) == NACRE_OK && calls.num_ops > num_ops;
            copies += copied;
            nothing_wrong(cut_everywhere(base, 0, copied ? 1 : 5, copied ? 8 : 1, DISK_HONEST));
        }
        assert_int_equal(copies, 1);
        disk_free(base);
    }
    report("conversion");
}

/* ---- Adopting a state ---- */

static nacre_err adopt(const disk *base, uint64_t next_to_send, fault_kind kind, unsigned at, int error)
{
    nacre_detail why;
    char path[4200];
    disk_choice latest;
    disk_choose_latest(&latest);
    disk_put(base, &latest, directories.root);
    snprintf(path, sizeof path, "%s/device", directories.root);
    calls_begin(directories.root, base);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    nacre_err err = nacre_directory_adopt(path, role, next_to_send, &why);
    calls_end();
    counted.faults += calls.fault.hit;
    return err;
}

/* The old state or the new one: never below the numbers used. */
static void an_interrupted_adopt_reuses_no_number(void **state)
{
    (void)state;
    for (nacre_role first = NACRE_ROLE_NONE; first <= NACRE_ROLE_SERVER; first += NACRE_ROLE_SERVER) {
        disk *base = used_and_closed(first);
        either_layout = false;
        assert_ok(adopt(base, 1000, FAULT_NONE, 0, 0));
        unsigned num_calls = calls.calls;
        nothing_wrong(cut_everywhere(base, 0, 1, SAMPLED ? 4 : 16, DISK_HONEST));
        for (unsigned at = 1; at <= num_calls; at++)
            for (size_t e = SAMPLED_FIRST(at, COUNT(errors)); e < COUNT(errors); e += SAMPLED_STEP(COUNT(errors)))
                for (fault_kind kind = FAULT_ONCE; kind <= FAULT_SHORT; kind++) {
                    (void)adopt(base, 1000, kind, at, errors[e]);
                    nothing_wrong(cut_everywhere(base, at % 3, 3, 2, DISK_HONEST));
                }
        disk_free(base);
    }
    report("adopting");
}

/* ---- A new pair of directories ---- */

struct pair {
    nacre_err client_err, server_err;
};

/* Opens the directories present. One that opens is complete, and the two can talk to each other. */
static struct pair open_pair(const char *root)
{
    nacre_detail why = { "" };
    nacre_directory *client = NULL, *server = NULL;
    char client_path[4200], server_path[4200];
    uint8_t buffer[MAX_DATAGRAM], plaintext[MAX_DATAGRAM];
    snprintf(client_path, sizeof client_path, "%s/client", root);
    snprintf(server_path, sizeof server_path, "%s/server", root);
    struct pair p = { nacre_directory_open(&client, client_path, test_crypto(), &why),
                      nacre_directory_open(&server, server_path, test_crypto(), &why) };
    counted.states++;
    /* The state is written before the secret: no complete directory lacks its state. */
    assert_null(strstr(why.text, "sequence-required"));
    if (client != NULL) assert_true(scratch_exists(client_path, "sequence.json"));
    if (server != NULL) assert_true(scratch_exists(server_path, "sequence.json"));
    if (client != NULL && server != NULL) {
        nacre_request_id id;
        nacre_bytes out;
        nacre_message m = get_request(NACRE_ABSENT), plain;
        struct device d = { .dir = server, .examined = true };
        settle(client);
        assert_ok(nacre_protect_request(nacre_directory_context(client), test_crypto(), &id, &out, NACRE_BUF(buffer),
                                        &m, NULL));
        nacre_message outer = test_parse(out);
        assert_err(nacre_unprotect_request(nacre_directory_context(server), test_crypto(), &id, &plain,
                                           NACRE_BUF(plaintext), &outer),
                   NACRE_ERR_NOT_YET);
        assert_ok(receive(&d, out, &id));
    }
    if (client == NULL) assert_true(p.client_err == NACRE_ERR_BAD_CONTEXT || p.client_err == NACRE_ERR_FILE);
    if (server == NULL) assert_true(p.server_err == NACRE_ERR_BAD_CONTEXT || p.server_err == NACRE_ERR_FILE);
    (void)nacre_directory_close(client, NULL);
    (void)nacre_directory_close(server, NULL);
    return p;
}

static nacre_err generate(fault_kind kind, unsigned at, int error)
{
    nacre_detail why;
    char client_path[4200], server_path[4200];
    snprintf(client_path, sizeof client_path, "%s/client", directories.root);
    snprintf(server_path, sizeof server_path, "%s/server", directories.root);
    scratch_remove(strdup(directories.root));
    scratch_mkdir(directories.scratch, "root");
    disk *base = disk_load(directories.root);
    calls_begin(directories.root, base);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    nacre_err err = nacre_directory_generate(client_path, server_path, NULL, &why);
    calls_end();
    disk_free(base);
    return err;
}

static void a_power_cut_during_generate_leaves_no_incomplete_directory(void **state)
{
    (void)state;
    unsigned one_only = 0;
    assert_ok(generate(FAULT_NONE, 0, 0));
    scratch_remove(strdup(directories.copy));
    scratch_mkdir(directories.scratch, "copy");
    disk *d = disk_load(directories.copy);
    for (size_t cut = 0; cut <= calls.num_ops; cut++) {
        disk_choice choice = { .limit = SAMPLED ? 8 : 64, .seed = cut };
        counted.cuts++;
        while (disk_next_choice(&choice)) {
            disk_put(d, &choice, directories.copy);
            struct pair p = open_pair(directories.copy);
            one_only += (p.client_err == NACRE_OK) != (p.server_err == NACRE_OK);
            if (cut == calls.num_ops) {
                assert_ok(p.client_err);
                assert_ok(p.server_err);
            }
        }
        if (cut < calls.num_ops) disk_apply(d, &calls.ops[cut], DISK_HONEST);
    }
    disk_free(d);
    print_message("           one side complete, the other not: %u states\n", one_only);
    report("generate");
}

/* States of the disk after a power cut at the very end, in which one of the two directories can be used. */
static unsigned usable_after_a_cut(void)
{
    unsigned usable = 0;
    disk_choice choice = { .limit = 8, .seed = 1 };
    scratch_remove(strdup(directories.copy));
    scratch_mkdir(directories.scratch, "copy");
    disk *d = disk_load(directories.copy);
    for (size_t i = 0; i < calls.num_ops; i++) disk_apply(d, &calls.ops[i], DISK_HONEST);
    while (disk_next_choice(&choice)) {
        disk_put(d, &choice, directories.copy);
        struct pair p = open_pair(directories.copy);
        usable += p.client_err == NACRE_OK || p.server_err == NACRE_OK;
    }
    disk_free(d);
    return usable;
}

static void a_failing_call_during_generate_leaves_no_incomplete_directory(void **state)
{
    (void)state;
    unsigned left = 0, back = 0;
    assert_ok(generate(FAULT_NONE, 0, 0));
    unsigned num_calls = calls.calls;
    for (unsigned at = 1; at <= num_calls; at++)
        for (size_t e = SAMPLED_FIRST(at, COUNT(errors)); e < COUNT(errors); e += SAMPLED_STEP(COUNT(errors)))
            for (fault_kind kind = FAULT_ONCE; kind <= FAULT_SHORT; kind++) {
                nacre_err err = generate(kind, at, errors[e]);
                counted.faults += calls.fault.hit;
                struct pair p = open_pair(directories.root);
                if (err == NACRE_OK) {
                    assert_ok(p.client_err);
                    assert_ok(p.server_err);
                    continue;
                }
                assert_err(err, NACRE_ERR_FILE);
                size_t there = scratch_count(directories.root, "client") + scratch_count(directories.root, "server");
                if (kind == FAULT_STICKY || kind == FAULT_DONE) left += there > 0;
                else if (there != 0)
                    fail_msg("call %u fails (kind %d) with %s: something is left", at, (int)kind, strerror(errors[e]));
                if (kind == FAULT_STICKY) continue; /* nothing could be removed any more */
                assert_true(p.client_err != NACRE_OK && p.server_err != NACRE_OK);
                back += usable_after_a_cut();
            }
    print_message(
        "           something left behind, because removing failed too or what was made said it was not: %u\n", left);
    assert_int_equal(back, 0); /* a removed file does not come back after a power cut */
    report("generate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_interrupted_conversion_leaves_one_true_layout),
        ROW(an_interrupted_adopt_reuses_no_number),
        ROW(a_power_cut_during_generate_leaves_no_incomplete_directory),
        ROW(a_failing_call_during_generate_leaves_no_incomplete_directory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tell_altogether();
    return failed;
}
