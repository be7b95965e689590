/* SPDX-License-Identifier: MIT */
/* edhoc_messages: cipher suites and their negotiation, connection identifiers, EAD, and ID_CRED. */
#include "edhoc_ends.h"
#include "support.h"
#include <stdio.h>

#define SEND     NACRE_EDHOC_SEND
#define ABORTED  NACRE_EDHOC_ABORTED
#define NO_FAULT NACRE_EDHOC_FAULT_NONE

/* ---- Negotiation (RFC 9528 6.3) ---- */
static const struct {
    const char *name;
    int8_t initiator[4], responder[4];  /* in order of preference, up to the first of -1 */
    const char *first, *error, *second; /* METHOD and SUITES_I; error message; absent: none */
    nacre_edhoc_fault fault;            /* of the Responder the first time */
    int selected;                       /* -1: none */
} rows[] = {
    { "the preferred one", { 2, 0, -1 }, { 0, 2, -1 }, "0302", NULL, NULL, NO_FAULT, 2 },
    { "the second", { 6, 2, -1 }, { 2, -1 }, "0306", "0202", "03820602", NACRE_EDHOC_FAULT_SUITE, 2 },
    { "the third of three, Responder prefers another",
      { 6, 2, 0, -1 },
      { 5, 0, 2, -1 },
      "0306",
      "0283050002",
      "03820602",
      NACRE_EDHOC_FAULT_SUITE,
      2 },
    { "none", { 6, 0, -1 }, { 2, 3, -1 }, "0306", "02820203", NULL, NACRE_EDHOC_FAULT_SUITE, -1 },
};

static size_t count(const int8_t *suites)
{
    size_t num = 0;
    while (suites[num] >= 0) num++;
    return num;
}

static void the_most_preferred_common_suite_is_selected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        p->i.config.suites = rows[i].initiator;
        p->i.config.num_suites = count(rows[i].initiator);
        p->r.config.suites = rows[i].responder;
        p->r.config.num_suites = count(rows[i].responder);
        nacre_bytes m = edhoc_begin(p), prefix = test_hex(rows[i].first);
        assert_memory_equal(m.ptr, prefix.ptr, prefix.len);
        nacre_bytes refusal = edhoc_step(p, &p->r, m, rows[i].error ? ABORTED : SEND, rows[i].fault);
        if (rows[i].error != NULL) {
            assert_bytes_row(rows[i].name, refusal, test_hex(rows[i].error));
            if (rows[i].second == NULL) {
                (void)edhoc_step(p, &p->i, refusal, ABORTED, NACRE_EDHOC_FAULT_NO_COMMON_SUITE);
                continue;
            }
            nacre_edhoc_result result = edhoc_receive(p, &p->i, refusal);
            assert_int_equal(result.verdict, SEND);
            assert_int_equal(result.number, 1);
            nacre_bytes m1 = test_copy(result.message);
            prefix = test_hex(rows[i].second);
            assert_memory_equal(m1.ptr, prefix.ptr, prefix.len);
            assert_memory_not_equal(m.ptr + m.len - 20, m1.ptr + m1.len - 20, 19); /* a fresh key */
            static const uint8_t c_r[] = { 2 }, spare[] = { 3 };
            assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, NACRE_ARRAY(c_r), NACRE_ARRAY(spare)));
            (void)edhoc_step(p, &p->i, refusal, ABORTED, NACRE_EDHOC_FAULT_NO_COMMON_SUITE); /* once only */
            continue;
        }
        assert_int_equal(p->r.session.suite->number, rows[i].selected);
    }
}

/* RFC 9528 6.3.1: a suite that the Initiator prefers to the selected one, and the Responder has, is to be selected. */
static void a_suite_that_is_not_the_best_is_refused(void **state)
{
    (void)state;
    static const int8_t both[] = { 2, 0 };
    edhoc_pair *p = edhoc_pair_of(3, 0, BY_KID);
    p->r.config.suites = both;
    p->r.config.num_suites = 2;
    nacre_bytes m = edhoc_begin(p); /* 03 00 58 20 … */
    nacre_bytes forged = test_join(test_hex("03820200"), nacre_bytes_of(m.ptr + 2, m.len - 2));
    (void)edhoc_step(p, &p->r, forged, ABORTED, NACRE_EDHOC_FAULT_SUITE);
    /* one that the Responder does not have may precede it */
    m = edhoc_begin(p);
    (void)edhoc_step(p, &p->r, test_join(test_hex("0383150500"), nacre_bytes_of(m.ptr + 2, m.len - 2)), SEND, NO_FAULT);
    /* and a list may be longer than any that nacre has */
    m = edhoc_begin(p);
    nacre_bytes longer = test_hex("038d0a0b0c0d0e0f1011121337181900");
    (void)edhoc_step(p, &p->r, test_join(longer, nacre_bytes_of(m.ptr + 2, m.len - 2)), SEND, NO_FAULT);
}

/* An error that is forged costs the Initiator what it prefers only if the Responder has not that. */
static void a_forged_error_does_not_select_a_worse_suite(void **state)
{
    (void)state;
    static const int8_t both[] = { 2, 0 };
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.suites = p->r.config.suites = both;
    p->i.config.num_suites = p->r.config.num_suites = 2;
    (void)edhoc_begin(p);
    nacre_bytes m = edhoc_step(p, &p->i, test_hex("0200"), SEND, NO_FAULT); /* as if only suite 0 were there */
    (void)edhoc_step(p, &p->r, m, ABORTED, NACRE_EDHOC_FAULT_SUITE);
    (void)edhoc_begin(p);
    (void)edhoc_step(p, &p->i, test_hex("0281020000"), NACRE_EDHOC_IGNORED, NACRE_EDHOC_FAULT_TYPE);
}

/* Forged errors do not keep an Initiator making keys: it begins again once. */
static void an_initiator_begins_again_once(void **state)
{
    (void)state;
    static const int8_t suites[] = { 6, 2, 0 };
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.suites = suites;
    p->i.config.num_suites = COUNT(suites);
    (void)edhoc_begin(p);
    (void)edhoc_step(p, &p->i, test_hex("0202"), SEND, NO_FAULT);
    (void)edhoc_step(p, &p->i, test_hex("0200"), ABORTED, NACRE_EDHOC_FAULT_NO_COMMON_SUITE);
}

/* ---- Connection identifiers (RFC 9528 3.3) ---- */
static void identifiers_become_those_of_oscore(void **state)
{
    (void)state;
    static const char *const ids[] = { "", "00", "17", "18", "20", "37", "38", "ff", "0102", "01020304050607" };
    for (size_t i = 0; i < COUNT(ids); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        nacre_bytes c_i = test_hex(ids[i]), c_r = test_hex(ids[(i + 1) % COUNT(ids)]), message;
        assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, c_r, test_hex("55")));
        assert_ok(nacre_edhoc_initiate(&p->i.session, &message, NACRE_BUF(p->i_buf), &p->i.config, c_i));
        bool is_number = c_i.len == 1 && (c_i.ptr[0] <= 0x17 || (c_i.ptr[0] >= 0x20 && c_i.ptr[0] <= 0x37));
        assert_int_equal(message.len, 36 + (is_number ? 1 : 1 + c_i.len));
        message = edhoc_step(p, &p->r, test_copy(message), SEND, NO_FAULT);
        message = edhoc_step(p, &p->i, message, SEND, NO_FAULT);
        (void)edhoc_step(p, &p->i, edhoc_step(p, &p->r, message, SEND, NO_FAULT), NACRE_EDHOC_COMPLETE, NO_FAULT);
        assert_bytes(nacre_edhoc_c_i(&p->r.session), c_i);
        assert_bytes(nacre_edhoc_c_r(&p->i.session), c_r);
        edhoc_agree(p);
    }
}

static void the_responder_takes_another_identifier_than_the_initiators(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    nacre_bytes message;
    assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex("05"), test_hex("0605")));
    assert_ok(nacre_edhoc_initiate(&p->i.session, &message, NACRE_BUF(p->i_buf), &p->i.config, test_hex("05")));
    message = edhoc_step(p, &p->r, test_copy(message), SEND, NO_FAULT);
    (void)edhoc_step(p, &p->i, message, SEND, NO_FAULT);
    assert_bytes(nacre_edhoc_c_r(&p->i.session), test_hex("0605"));
    assert_err(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex("05"), test_hex("05")),
               NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex("0102030405060708"), test_hex("05")),
               NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_respond(&p->r.session, &p->r.config, NACRE_ABSENT, test_hex("05")), NACRE_ERR_BAD_ARGUMENT);
    p = edhoc_pair_of(3, 4, BY_KID); /* ChaCha20: IDs of at most 6 bytes (RFC 8613 3.3) */
    assert_err(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex("01020304050607"), test_hex("05")),
               NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex("010203040506"), test_hex("05")));
}

/* A Responder that takes the Initiator's identifier, or one too long: the session is made to. */
static void the_initiator_refuses_identifiers_that_oscore_cannot_use(void **state)
{
    (void)state;
    static const struct {
        const char *c_i, *c_r;
        nacre_edhoc_fault fault;
    } ids[] = { { "05", "06", NO_FAULT }, { "05", "05", NACRE_EDHOC_FAULT_SAME_CONNECTION_ID } };
    for (size_t i = 0; i < COUNT(ids); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        nacre_bytes message;
        assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, test_hex(ids[i].c_r), test_hex("07")));
        assert_ok(nacre_edhoc_initiate(&p->i.session, &message, NACRE_BUF(p->i_buf), &p->i.config, test_hex("05")));
        p->r.session.spare[0] = test_hex(ids[i].c_r).ptr[0];
        message = edhoc_step(p, &p->r, test_copy(message), SEND, NO_FAULT);
        (void)edhoc_step(p, &p->i, message, ids[i].fault == NO_FAULT ? SEND : ABORTED, ids[i].fault);
    }
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    nacre_bytes m = edhoc_begin(p); /* ends with 01 */
    nacre_bytes longer = test_join(nacre_bytes_of(m.ptr, m.len - 1), test_hex("480102030405060708"));
    (void)edhoc_step(p, &p->r, longer, ABORTED, NACRE_EDHOC_FAULT_CONNECTION_ID_LENGTH);
}

/* ---- EAD (RFC 9528 3.8) ---- */
typedef struct seen {
    char log[200];
    bool understands;
} seen;

static bool note(void *self, unsigned message, int32_t label, bool is_critical, nacre_bytes value)
{
    seen *s = self;
    size_t len = strlen(s->log);
    (void)snprintf(s->log + len, sizeof s->log - len, "%u:%s%d/%d ", message, is_critical ? "-" : "", label,
                   nacre_is_absent(value) ? -1 : (int)value.len);
    return s->understands;
}

static void ead_is_delivered_and_padding_discarded(void **state)
{
    (void)state;
    for (int understands = 0; understands < 2; understands++) {
        edhoc_pair *p = edhoc_pair_of(1, 2, BY_KID);
        seen log = { "", understands != 0 };
        uint8_t bytes[4][100];
        for (unsigned n = 0; n < 4; n++) {
            nacre_bytes used = { bytes[n], 0 };
            assert_ok(nacre_edhoc_ead_add(&used, NACRE_BUF(bytes[n]), 100 + (int32_t)n, false, NACRE_STR("abc")));
            assert_ok(nacre_edhoc_ead_pad(&used, NACRE_BUF(bytes[n]), 3 * n, test_fill(7, 20)));
            assert_ok(nacre_edhoc_ead_add(&used, NACRE_BUF(bytes[n]), 1, false, NACRE_ABSENT));
            nacre_edhoc_config *of = n % 2 == 0 ? &p->i.config : &p->r.config;
            of->send_ead[n] = used;
        }
        p->i.config.ead = p->r.config.ead = (nacre_edhoc_ead_reader){ &log, note };
        edhoc_complete(p);
        edhoc_agree(p);
        assert_string_equal(log.log, "1:100/3 1:1/-1 2:101/3 2:1/-1 3:102/3 3:1/-1 4:103/3 4:1/-1 ");
    }
}

static void a_critical_item_that_is_not_understood_ends_the_session(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++)
        for (int reader = 0; reader < 3; reader++) { /* none, one that does not understand, one that does */
            edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
            seen log = { "", reader == 2 };
            uint8_t bytes[20];
            nacre_bytes used = { bytes, 0 };
            assert_ok(nacre_edhoc_ead_add(&used, NACRE_BUF(bytes), 9, true, NACRE_STR("x")));
            (n % 2 == 1 ? &p->i.config : &p->r.config)->send_ead[n - 1] = used;
            if (reader > 0) p->i.config.ead = p->r.config.ead = (nacre_edhoc_ead_reader){ &log, note };
            nacre_bytes m = edhoc_begin(p);
            for (unsigned k = 1; k <= 4; k++) {
                edhoc_end *to = k % 2 == 1 ? &p->r : &p->i;
                bool refused = k == n && reader < 2;
                m = edhoc_step(p, to, m,
                               refused  ? ABORTED
                               : k == 4 ? NACRE_EDHOC_COMPLETE
                                        : SEND,
                               refused ? NACRE_EDHOC_FAULT_EAD : NO_FAULT);
                if (refused) break;
            }
        }
}

/* Every length of padding is that length, and is a sequence of items with label 0. */
static void padding_has_any_length(void **state)
{
    (void)state;
    static const size_t lens[] = { 0, 1, 2, 3, 24, 25, 26, 27, 28, 257, 258, 259, 260, 261, 262, 263, 300 };
    for (size_t i = 0; i < COUNT(lens); i++) {
        nacre_buf buf = test_buf(lens[i]);
        nacre_bytes used = { buf.ptr, 0 };
        assert_ok(nacre_edhoc_ead_pad(&used, buf, lens[i], test_fill(7, lens[i])));
        assert_int_equal(used.len, lens[i]);
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        p->i.config.send_ead[0] = used;
        (void)edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
        if (lens[i] > 0) assert_err(nacre_edhoc_ead_pad(&used, buf, 1, NACRE_STR("a")), NACRE_ERR_BUFFER_TOO_SMALL);
    }
    nacre_bytes used = NACRE_ABSENT;
    assert_err(nacre_edhoc_ead_pad(&used, test_buf(4), 2, NACRE_STR("a")), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_ead_add(&used, test_buf(4), 0, false, NACRE_ABSENT), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_ead_add(&used, test_buf(1), 24, false, NACRE_ABSENT), NACRE_ERR_BUFFER_TOO_SMALL);
    assert_err(nacre_edhoc_ead_add(&used, test_buf(4), 65536, false, NACRE_ABSENT), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_edhoc_ead_add(&used, test_buf(4), 65535, false, NACRE_ABSENT));
}

static void ead_that_is_no_sequence_of_items_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = { "40", "6161", "0000f5", "19", "1817", "01024100f4" };
    for (size_t i = 0; i < COUNT(broken); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        nacre_bytes m = edhoc_begin(p);
        (void)edhoc_step(p, &p->r, test_join(m, test_hex(broken[i])), ABORTED, NACRE_EDHOC_FAULT_CBOR);
        p->i.config.send_ead[0] = test_hex(broken[i]);
        assert_err(nacre_edhoc_initiate(&p->i.session, &m, NACRE_BUF(p->i_buf), &p->i.config, test_hex("01")),
                   NACRE_ERR_BAD_ARGUMENT);
    }
}

/* ---- Configurations ---- */
static nacre_err initiate_with(edhoc_pair *p)
{
    nacre_bytes m;
    return nacre_edhoc_initiate(&p->i.session, &m, NACRE_BUF(p->i_buf), &p->i.config, test_hex("01"));
}

static void configurations_are_checked(void **state)
{
    (void)state;
    static const int8_t unknown[] = { 25 }, twice[] = { 2, 2 };
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    assert_ok(initiate_with(p));
    p->i.config.size--;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p->i.config.size = 0;
    assert_ok(initiate_with(p));
    p->i.config.suites = unknown;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p->i.config.suites = twice;
    p->i.config.num_suites = 2;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p->i.config.num_suites = 0;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.method = 4;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.num_identities = 0;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.trust.find = NULL;
    assert_err(initiate_with(p), NACRE_ERR_BAD_ARGUMENT);
    nacre_pk_ops ops = *edhoc_pk()->ops;
    const nacre_pk pk = { &ops, edhoc_pk()->instance };
    p = edhoc_pair_of(3, 2, BY_KID);
    p->i.config.pk = &pk;
    assert_ok(initiate_with(p));
    ops.version++;
    assert_err(initiate_with(p), NACRE_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_most_preferred_common_suite_is_selected),
        TEST(a_suite_that_is_not_the_best_is_refused),
        TEST(a_forged_error_does_not_select_a_worse_suite),
        TEST(an_initiator_begins_again_once),
        TEST(identifiers_become_those_of_oscore),
        TEST(the_responder_takes_another_identifier_than_the_initiators),
        TEST(the_initiator_refuses_identifiers_that_oscore_cannot_use),
        TEST(ead_is_delivered_and_padding_discarded),
        TEST(a_critical_item_that_is_not_understood_ends_the_session),
        TEST(padding_has_any_length),
        TEST(ead_that_is_no_sequence_of_items_is_refused),
        TEST(configurations_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
