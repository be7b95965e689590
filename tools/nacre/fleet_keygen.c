/* SPDX-License-Identifier: MIT */
/* fleet_keygen: makes fresh contexts: the server's sides in the database, the clients' as directories DIR/ID. A client's Sender ID is
 * the id of its context in the database, in as few bytes as the number of contexts allows, so that all differ. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hosted/detail.h"
#include "fleet.h"
#include "store/directory/create.h"
#include "store/random.h"

typedef struct making {
    const fleet_args *a;
    uint64_t first; /* number of the first client */
    size_t id_len, num_made;
} making;

static bool path_of(char path[PATH_MAX], const making *m, size_t index)
{
    const int len = snprintf(path, PATH_MAX, "%s/%llu", m->a->out, (unsigned long long)(m->first + index));
    return len > 0 && len < PATH_MAX;
}

static nacre_err make_client(making *m, const nacre_directory_info *server, size_t index, nacre_detail *why)
{
    char path[PATH_MAX];
    nacre_directory_info client = *server;
    memcpy(client.sender_id, server->recipient_id, sizeof client.sender_id);
    memcpy(client.recipient_id, server->sender_id, sizeof client.recipient_id);
    client.sender_id_len = server->recipient_id_len;
    client.recipient_id_len = server->sender_id_len;
    nacre_err err = NACRE_ERR_FILE;
    if (path_of(path, m, index)) err = nacre_directory_create(path, &client, why);
    else (void)nacre__fail(why, err, "%.200s: the path is too long", m->a->out);
    if (err == NACRE_OK) m->num_made = index + 1;
    nacre_wipe(&client, sizeof client);
    return err;
}

static nacre_err make_one(void *user, nacre_sqlite_context *c, size_t index, nacre_detail *why)
{
    making *m = user;
    nacre_directory_info *i = &c->info;
    const uint64_t number = m->first + index;
    i->aead = m->a->aead != NULL ? m->a->aead : nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    i->window = NACRE_REPLAY_DEFAULT;
    i->window_known = true;
    i->secret_len = i->aead->key_len < 16 ? 16 : i->aead->key_len;
    i->salt_len = 8;
    i->sender_id_len = 1; /* shorter than all clients' */
    i->recipient_id_len = m->id_len;
    for (size_t n = 0; n < m->id_len; n++) i->recipient_id[n] = (uint8_t)(number >> (8 * (m->id_len - 1 - n)));
    if (!nacre__store_random(i->secret, i->secret_len) || !nacre__store_random(i->salt, i->salt_len) ||
        !nacre__store_random(i->sender_id, 1))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "the system gives no random bytes");
    return make_client(m, i, index, why);
}

static void take_away(const making *m)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < m->num_made; i++)
        if (path_of(path, m, i)) nacre__directory_take_away(path);
}

static nacre_err generate(fleet_args *a, nacre_sqlite *db, nacre_detail *why)
{
    making m = { .a = a, .id_len = 2 };
    nacre_sqlite_stats s;
    nacre_err err = nacre_sqlite_get_stats(db, &s, why);
    if (err != NACRE_OK) return err;
    m.first = s.num_active + s.num_removed + s.num_revoked + s.num_exported + 1;
    while (m.id_len < 4 && (m.first + a->count) >> (8 * m.id_len) != 0) m.id_len++;
    if (a->aead != NULL && m.id_len > a->aead->nonce_len - 6u)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "%s: its IDs are too short for so many contexts", a->aead->name);
    err = nacre_sqlite_add(db, NULL, (size_t)a->count /* at most a million */, make_one, &m, why);
    if (err != NACRE_OK) take_away(&m);
    else
        fleet_say("%s: %llu made, their clients in %s/%llu to %llu", a->path, (unsigned long long)a->count, a->out,
                  (unsigned long long)m.first, (unsigned long long)(m.first + a->count - 1));
    return err;
}

int fleet_keygen(fleet_args *a)
{
    nacre_detail why;
    nacre_sqlite *db;
    struct stat st;
    if (a->count == 0 || a->out == NULL) return tool_usage("fleet", "keygen expects --count N and --out DIR");
    if (stat(a->out, &st) != 0 || !S_ISDIR(st.st_mode))
        return tool_fail("fleet", NACRE_ERR_FILE, "%s: is not a directory; make it first", a->out);
    int code = fleet_open(&db, a, false);
    if (code != TOOL_OK) return code;
    const nacre_err err = generate(a, db, &why);
    if (err != NACRE_OK) code = tool_fail("fleet", err, "%s; nothing was made", why.text);
    return fleet_close(db, code);
}
