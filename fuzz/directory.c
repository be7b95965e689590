/* SPDX-License-Identifier: MIT */
/* directory: a context directory with settings.json, sequence.json, secret.json and lock in any state; the input
 * separates them with bytes 0xff, which no JSON text contains; a missing file is a valid one, or absent. The values
 * read are in range; the directory opens unless its state is reported as not the latest (a copy, or older than the
 * count in lock); and the close writes the state back. */
#include "fuzz.h"

static const nacre_bytes secret = { (const uint8_t *)"{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\"}", 50 };

static const nacre_bytes secret_hex = { (const uint8_t *)"0102030405060708090a0b0c0d0e0f10", 32 };

static nacre_bytes part(fuzz_input *in)
{
    const uint8_t *end = in->at;
    while (end < in->end && *end != 0xff) end++;
    nacre_bytes bytes = { in->at, (size_t)(end - in->at) };
    in->at = end < in->end ? end + 1 : end;
    return bytes;
}

static void check_info(const nacre_directory_info *info)
{
    CHECK(info->aead != NULL && nacre_hash_name(info->hash) != NULL);
    CHECK(info->window >= 1 && info->window <= NACRE_REPLAY_MAX);
    CHECK(info->sender_id_len <= info->aead->nonce_len - 6u && info->recipient_id_len <= info->aead->nonce_len - 6u);
    CHECK(!fuzz_same(nacre_bytes_of(info->sender_id, info->sender_id_len),
                     nacre_bytes_of(info->recipient_id, info->recipient_id_len)));
    CHECK(info->id_context_len <= sizeof info->id_context && (info->has_id_context || info->id_context_len == 0));
    CHECK(info->next_to_send <= NACRE_SEQ_MAX + 1 && info->window_index <= NACRE_SEQ_MAX + 1);
    for (unsigned bit = info->window; bit < NACRE_REPLAY_MAX; bit++)
        CHECK((info->window_bits[bit / 8] >> bit % 8 & 1) == 0);
    CHECK(info->secret_len == 0 && info->salt_len == 0); /* only read on request */
}

static bool seen(const nacre_directory_info *info, uint64_t seq)
{
    if (seq < info->window_index) return true;
    uint64_t bit = seq - info->window_index;
    return bit < info->window && (info->window_bits[bit / 8] >> bit % 8 & 1) != 0;
}

static void check_refused(void)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    CHECK(nacre_directory_open(&dir, fuzz_directory(), fuzz_crypto(), &why) == NACRE_ERR_BAD_CONTEXT);
    CHECK(dir == NULL);
    fuzz_check_detail(&why);
}

/* The opened context has the numbers and the window of the files. */
static void check_open(const nacre_directory_info *info)
{
    nacre_directory *dir;
    nacre_detail why = { "" };
    CHECK(nacre_directory_open(&dir, fuzz_directory(), fuzz_crypto(), &why) == NACRE_OK);
    const nacre_context *ctx = nacre_directory_context(dir);
    CHECK(nacre_context_next_seq(ctx) == info->next_to_send);
    const nacre_replay *window = nacre_context_replay(ctx);
    CHECK(window->known == info->window_known);
    for (uint64_t i = 0; info->window_known && i < info->window && info->window_index + i <= NACRE_SEQ_MAX; i++)
        CHECK((nacre_replay_check(window, info->window_index + i) == NACRE_OK) == !seen(info, info->window_index + i));
    CHECK(nacre_directory_close(dir, &why) == NACRE_OK);
}

static void check_after(const nacre_directory_info *before)
{
    nacre_directory_info info;
    nacre_detail why = { "" };
    CHECK(nacre_directory_read(&info, fuzz_directory(), false, &why) == NACRE_OK);
    check_info(&info);
    CHECK(info.next_to_send == before->next_to_send && info.window_known == before->window_known);
    for (uint64_t i = 0; info.window_known && i < 2u * info.window; i++) {
        uint64_t seq = before->window_index + i;
        CHECK(seen(&info, seq) == seen(before, seq));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    fuzz_write_file("settings.json", part(&in));
    bool has_state = in.at < in.end;
    if (has_state) fuzz_write_file("sequence.json", part(&in));
    else fuzz_remove_file("sequence.json");
    bool has_secret = in.at < in.end;
    fuzz_write_file("secret.json", has_secret ? part(&in) : secret);
    if (in.at < in.end) fuzz_write_file("lock", part(&in));
    else fuzz_remove_file("lock");

    nacre_directory_info info, before;
    nacre_detail why = { "" };
    memset(&info, 0x5a, sizeof info);
    memcpy(&before, &info, sizeof info);
    nacre_err err = nacre_directory_read(&info, fuzz_directory(), false, &why);
    if (err == NACRE_OK) {
        check_info(&info);
        if (info.elsewhere) check_refused();
        else check_open(&info);
        check_after(&info);
    } else {
        CHECK(err == NACRE_ERR_BAD_CONTEXT);
        CHECK(memcmp(&info, &before, sizeof info) == 0);
        fuzz_check_detail(&why);
        nacre_bytes displayed = nacre_bytes_of((const uint8_t *)why.text, strlen(why.text));
        CHECK(fuzz_contains(nacre_bytes_of(data, size), secret_hex) || !fuzz_contains(displayed, secret_hex));
    }
    fuzz_release();
    return 0;
}
