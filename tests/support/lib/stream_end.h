/* SPDX-License-Identifier: MIT */
/* stream_end: one end of a connection for tests, with its own buffers and a clock that moves only when a test moves
 * it. */
#ifndef TEST_STREAM_END_H
#define TEST_STREAM_END_H

#include "support.h"

typedef struct end {
    nacre_stream s;
    nacre_buf buf; /* for events */
    uint64_t now;
} end;

end *end_with(const nacre_stream_config *config, size_t more_output); /* larger than necessary */
end *end_of(const nacre_stream_config *config);                       /* large enough for some responses */
end *plain_end(void);
end *open_end(void); /* it has sent its CSM and received the peer's */

nacre_bytes end_written(end *e);          /* takes the bytes to be written */
bool end_give(end *e, nacre_bytes bytes); /* delivers bytes while there is buffer space; false if not all of them fit */
bool end_next(end *e, nacre_stream_event *event);
void end_quiet(end *e); /* no event is pending */

/* A POST with a token of 0x11 and, after the token: nothing, or Uri-Path "a" and a payload of 0x70. */
nacre_bytes datagram_of(uint8_t type, uint16_t mid, size_t token, size_t body);

#endif
