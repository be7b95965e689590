/* SPDX-License-Identifier: MIT */
/* session: which message is expected, and what becomes of a session (RFC 9528 5.1, 6, I). */
#include "base/copy.h"
#include "edhoc/error_message.h"
#include "edhoc/message_1.h"
#include "edhoc/method.h"
#include "edhoc/roles.h"

nacre_edhoc_config nacre_edhoc_config_default(void)
{
    nacre_edhoc_config config = { .size = sizeof config };
    return config;
}

const char *nacre_edhoc_fault_text(nacre_edhoc_fault fault)
{
#if defined(NACRE_EDHOC_SMALL)
    (void)fault;
    return "";
#else
    switch (fault) {
#define FAULT_TEXT(name, text)                                                                                         \
    case NACRE_EDHOC_FAULT_##name:                                                                                     \
        return text;
        NACRE_EDHOC_FAULT_MAP(FAULT_TEXT)
#undef FAULT_TEXT
    }
    return "unknown fault";
#endif
}

void nacre_edhoc_wipe(nacre_edhoc *s)
{
    if (s->config != NULL && s->state != NACRE__EDHOC_ENDED) nacre__edhoc_end_ephemeral(s);
    nacre_wipe(s, sizeof *s);
}

static nacre_err process(nacre_edhoc *s, nacre__edhoc_call *call)
{
    switch (s->state) {
    case NACRE__EDHOC_WAIT_1: return nacre__edhoc_receive_1(s, call);
    case NACRE__EDHOC_WAIT_2: return nacre__edhoc_receive_2(s, call);
    case NACRE__EDHOC_WAIT_3: return nacre__edhoc_receive_3(s, call);
    case NACRE__EDHOC_WAIT_4: return nacre__edhoc_receive_4(s, call);
    default: return NACRE_ERR_STALE;
    }
}

static void abort_session(nacre_edhoc *s, nacre_edhoc_result *result, nacre_edhoc_fault fault)
{
    nacre_edhoc_wipe(s);
    result->verdict = NACRE_EDHOC_ABORTED;
    result->fault = fault;
}

/* RFC 9528 6.3: after error 2 an Initiator begins again, once, with its most preferred suite of those in SUITES_R. The message
 * may be forged: the suites before the selected one stay in SUITES_I, and the Responder refuses what was not necessary. */
NACRE__NOT_INLINE static nacre_err try_other_suite(nacre_edhoc *s, nacre__edhoc_call *call, nacre_edhoc_result *result,
                                                   nacre_bytes info)
{
    nacre__edhoc_suites list;
    nacre__reader r = nacre__reader_of(info);
    if (nacre__edhoc_read_suites(&r, &list, s->config) != NACRE_EDHOC_FAULT_NONE || nacre__left(&r) > 0) {
        result->verdict = NACRE_EDHOC_IGNORED; /* not as an error message is */
        result->fault = NACRE_EDHOC_FAULT_SUITES;
        return NACRE_OK;
    }
    const nacre_edhoc_suite *suite =
        list.best == NACRE__EDHOC_NO_INDEX ? NULL : nacre_edhoc_suite_by_number(s->config->suites[list.best]);
    if (suite == NULL || s->retried || list.best == s->selected ||
        nacre__edhoc_identity(s->config, NACRE_EDHOC_INITIATOR, s->method, suite) == NULL) {
        abort_session(s, result, NACRE_EDHOC_FAULT_NO_COMMON_SUITE);
        return NACRE_OK;
    }
    nacre_edhoc again = *s;
    nacre_err err = nacre__edhoc_write_message_1(&again, &result->message, call->buf, list.best);
    if (err == NACRE_OK) {
        nacre__edhoc_end_ephemeral(s);
        *s = again;
        s->retried = true;
        result->verdict = NACRE_EDHOC_SEND;
        result->number = 1;
    }
    nacre_wipe(&again, sizeof again);
    return err;
}

/* RFC 9528 6: an error message ends the session, and is not responded to. */
static nacre_err receive_error(nacre_edhoc *s, nacre__edhoc_call *call, nacre_edhoc_result *result)
{
    int32_t code;
    nacre_bytes info;
    if (!nacre__edhoc_read_error(call->in, &code, &info)) {
        result->verdict = NACRE_EDHOC_IGNORED;
        result->fault = NACRE_EDHOC_FAULT_TYPE;
        return NACRE_OK;
    }
    result->peer_code = code;
    result->peer_info = info;
    if (code == 2 && s->state == NACRE__EDHOC_WAIT_2) return try_other_suite(s, call, result, info);
    abort_session(s, result, NACRE_EDHOC_FAULT_PEER_ERROR);
    return NACRE_OK;
}

nacre_err nacre_edhoc_receive(nacre_edhoc *s, nacre_edhoc_result *result, nacre_buf buf, nacre_bytes in)
{
    nacre_edhoc_result done = { .verdict = NACRE_EDHOC_IGNORED };
    nacre__edhoc_call call = { .buf = buf, .in = in };
    nacre_err err = NACRE_OK;
    if (s->state == NACRE__EDHOC_ENDED) return NACRE_ERR_STALE;
    if (s->state == NACRE__EDHOC_COMPLETED) { /* RFC 9528 5.1: neither a copy nor an error changes what is complete */
        *result = done;
        return NACRE_OK;
    }
    int32_t code;
    nacre_bytes info; /* message_1 begins with a number as well, and has more than two items */
    if (s->state == NACRE__EDHOC_WAIT_1 ? nacre__edhoc_read_error(in, &code, &info) : nacre__edhoc_may_be_error(in)) {
        err = receive_error(s, &call, &done);
        if (err == NACRE_OK) *result = done;
        return err;
    }
    err = process(s, &call);
    if (err == NACRE_OK) {
        done.complete = s->state == NACRE__EDHOC_COMPLETED;
        done.verdict = call.next_number != 0 ? NACRE_EDHOC_SEND : NACRE_EDHOC_COMPLETE;
        done.number = call.next_number;
        done.message = call.next;
    } else if (err == NACRE_ERR_PROTECTION_INVALID && call.fault != NACRE_EDHOC_FAULT_NONE) {
        done.fault = call.fault;
        if (!call.is_likely_forged) {
            nacre_wipe(buf.ptr, buf.cap); /* of a plaintext that was not verified */
            done.message = nacre__edhoc_write_error(s->config, buf, call.fault);
            abort_session(s, &done, call.fault);
        }
    } else {
        nacre_wipe(buf.ptr, buf.cap);
        return err;
    }
    *result = done;
    return NACRE_OK;
}

void *nacre_edhoc_peer(const nacre_edhoc *s)
{
    return s->state == NACRE__EDHOC_COMPLETED ? s->peer : NULL;
}

bool nacre_edhoc_is_complete(const nacre_edhoc *s)
{
    return s->state == NACRE__EDHOC_COMPLETED;
}

const nacre_edhoc_suite *nacre_edhoc_selected_suite(const nacre_edhoc *s)
{
    return s->suite;
}

nacre_bytes nacre_edhoc_c_i(const nacre_edhoc *s)
{
    return nacre_bytes_of(s->c_i, s->c_i_len);
}

nacre_bytes nacre_edhoc_c_r(const nacre_edhoc *s)
{
    return nacre_bytes_of(s->c_r, s->c_r_len);
}
