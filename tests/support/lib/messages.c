/* SPDX-License-Identifier: MIT */
/* messages: the plain messages that tests send. */
#include "support.h"

nacre_message test_parse(nacre_bytes datagram)
{
    nacre_message m;
    assert_ok(nacre_message_parse(&m, datagram));
    return m;
}

nacre_message test_message(const char *hex)
{
    return test_parse(test_hex(hex));
}

nacre_bytes test_datagram(const nacre_message *m)
{
    nacre_buf buf = test_buf(nacre_message_size(m));
    nacre_bytes out;
    assert_ok(nacre_message_write(m, &out, buf));
    assert_int_equal(out.len, buf.cap);
    return out;
}

nacre_bytes test_options(int number, ...)
{
    enum { BUF_SIZE = 4096 };
    uint8_t *bytes = test_alloc(BUF_SIZE);
    nacre_options o;
    nacre_options_init(&o, (nacre_buf){ bytes, BUF_SIZE });
    va_list args;
    va_start(args, number);
    for (; number; number = va_arg(args, int))
        nacre_options_add(&o, (uint16_t)number, test_hex(va_arg(args, const char *)));
    va_end(args);
    nacre_bytes out;
    assert_ok(nacre_options_finish(&o, &out));
    return test_copy(out);
}

nacre_message test_request(uint8_t code, nacre_bytes options, nacre_bytes payload)
{
    nacre_message m = { NACRE_CON, code, 0x1234, test_hex("0a0b0c0d"), options, payload };
    return m;
}

nacre_message test_response(uint8_t code, nacre_bytes options, nacre_bytes payload)
{
    nacre_message m = { NACRE_ACK, code, 0x1234, test_hex("0a0b0c0d"), options, payload };
    return m;
}

bool test_number(uint64_t *number, nacre_bytes datagram)
{
    nacre_oscore_option option;
    const nacre_message m = test_parse(datagram);
    assert_ok(nacre_verify_start(&option, &m));
    if (nacre_is_absent(option.partial_iv)) return false;
    *number = 0;
    for (size_t i = 0; i < option.partial_iv.len; i++) *number = *number << 8 | option.partial_iv.ptr[i];
    return true;
}
