/* SPDX-License-Identifier: MIT */
/* tcp_watch: what happens to the connections with one peer while a request to it is in flight. */
#include "io/tcp_internal.h"

void nacre__tcp_note_end(nacre_tcp *tcp, const nacre__connection *of, const nacre_stream_event *event)
{
    nacre__tcp_end end = { .err = event->err, .by_peer = event->by_peer };
    if (event->err == NACRE_OK) return;
    end.was_silent = !nacre_stream_get_peer(&of->stream).has_settings;
    for (size_t i = 0; i < event->bytes.len && i + 1 < sizeof end.text; i++) {
        const uint8_t c = event->bytes.ptr[i];
        end.text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    for (nacre__tcp_watch *w = tcp->watches; w != NULL; w = w->next)
        if (nacre_address_equal(&w->peer, &of->peer)) w->end = end;
}

void nacre__tcp_note_lost_open(nacre_tcp *tcp, const nacre_address *peer)
{
    for (nacre__tcp_watch *w = tcp->watches; w != NULL; w = w->next)
        if (nacre_address_equal(&w->peer, peer)) w->lost_open = true;
}

void nacre__tcp_watch_peer(nacre_tcp *tcp, nacre__tcp_watch *watch, const nacre_address *peer)
{
    nacre__tcp_unwatch(tcp, watch);
    *watch = (nacre__tcp_watch){ .next = tcp->watches, .peer = *peer };
    tcp->watches = watch;
}

void nacre__tcp_unwatch(nacre_tcp *tcp, nacre__tcp_watch *watch)
{
    nacre__tcp_watch **at = &tcp->watches;
    while (*at != NULL && *at != watch) at = &(*at)->next;
    if (*at != NULL) *at = watch->next;
}

const nacre__tcp_end *nacre__tcp_watched_end(const nacre__tcp_watch *watch)
{
    return watch->end.err != NACRE_OK ? &watch->end : NULL;
}

bool nacre__tcp_was_refused(const nacre__tcp_watch *watch)
{
    return !watch->lost_open;
}
