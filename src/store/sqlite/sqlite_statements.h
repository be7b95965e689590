/* SPDX-License-Identifier: MIT */
/* sqlite_statements: every statement on the tables of schema.sql, by name. */
#ifndef NACRE_STORE_SQLITE_STATEMENTS_H
#define NACRE_STORE_SQLITE_STATEMENTS_H

#define NACRE__SQLITE_CONTEXT                                                                                          \
    "c.id, c.status, c.fingerprint, c.peer_fingerprint, c.name, c.aead, c.hash, c.window, c.sender_id, "               \
    "c.recipient_id, c.id_context, c.keys, c.ceiling, c.sum, s.next, s.window_index, s.window_bits, s.sum"
#define NACRE__SQLITE_FROM " FROM contexts c LEFT JOIN state s ON s.context = c.id "

#define NACRE__SQLITE_STATEMENTS(X)                                                                                    \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(BEGIN_READ, "BEGIN")                                                                                             \
    X(COMMIT, "COMMIT")                                                                                                \
    X(ROLLBACK, "ROLLBACK")                                                                                            \
    X(DATA_VERSION, "PRAGMA data_version")                                                                             \
    X(META_INSERT, "INSERT INTO meta (one, schema, database, hash_key, fingerprint_key, kek, writes) "                 \
                   "VALUES (1, ?1, ?2, ?3, ?4, ?5, 0)")                                                                \
    X(META, "SELECT schema, database, hash_key, fingerprint_key, kek, identity, writes FROM meta")                     \
    X(META_WRITES, "UPDATE meta SET writes = ?1 WHERE one = 1 AND writes = ?1 - 1")                                    \
    X(META_IDENTITY, "UPDATE meta SET identity = ?1 WHERE one = 1")                                                    \
    X(NODE_INSERT, "INSERT INTO nodes (id, name) VALUES (1, 'this')")                                                  \
    X(NEXT_ID, "SELECT coalesce(max(id), 0) + 1 FROM contexts")                                                        \
    X(CONTEXT_INSERT, "INSERT INTO contexts (id, status, fingerprint, peer_fingerprint, name, aead, hash, window, "    \
                      "sender_id, recipient_id, id_context, keys, sum) "                                               \
                      "VALUES (?12, 0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                                 \
    X(CONTEXT_REVIVE, "UPDATE contexts SET status = 0, name = ?3, aead = ?4, hash = ?5, "                              \
                      "window = ?6, sender_id = ?7, recipient_id = ?8, id_context = ?9, keys = ?10, sum = ?11, "       \
                      "ceiling = NULL WHERE fingerprint = ?1 AND peer_fingerprint = ?2 AND id = ?12 "                  \
                      "AND status IN (1, 3)")                                                                          \
    X(CONTEXT_END, "UPDATE contexts SET status = ?2, keys = NULL, ceiling = ?3, sum = ?4 WHERE id = ?1")               \
    X(CONTEXT_REPAIR,                                                                                                  \
      "UPDATE contexts SET status = 2, fingerprint = ?2, peer_fingerprint = ?3, aead = ?4, hash = ?5, "                \
      "window = ?6, sender_id = ?7, recipient_id = ?8, id_context = ?9, keys = NULL, ceiling = ?10, "                  \
      "sum = ?11 WHERE id = ?1")                                                                                       \
    X(CEILING_RAISE, "UPDATE contexts SET ceiling = ?2, sum = ?3 WHERE id = ?1 AND ceiling <= ?2")                     \
    X(BY_ID, "SELECT " NACRE__SQLITE_CONTEXT NACRE__SQLITE_FROM "WHERE c.id = ?1")                                     \
    X(BY_FINGERPRINT, "SELECT " NACRE__SQLITE_CONTEXT NACRE__SQLITE_FROM "WHERE c.fingerprint = ?1")                   \
    X(AFTER_ID, "SELECT " NACRE__SQLITE_CONTEXT NACRE__SQLITE_FROM                                                     \
                "WHERE c.id > ?1 AND (?2 OR c.status = 0) ORDER BY c.id LIMIT ?3")                                     \
    X(ACTIVE_IDS, "SELECT id FROM contexts WHERE id > ?1 AND status = 0 ORDER BY id LIMIT ?2")                         \
    X(PEERS, "SELECT id, status FROM contexts WHERE peer_fingerprint = ?1 AND fingerprint <> ?2 ORDER BY status")      \
    X(BY_NAME, "SELECT id FROM contexts WHERE name = ?1 AND status = 0")                                               \
    X(BY_KID, "SELECT id FROM contexts WHERE status = 0 AND recipient_id = ?1 "                                        \
              "ORDER BY id_context IS NOT NULL, id LIMIT ?2")                                                          \
    X(BY_KID_CONTEXT, "SELECT id FROM contexts WHERE status = 0 AND recipient_id = ?1 AND id_context = ?3 "            \
                      "ORDER BY id LIMIT ?2")                                                                          \
    X(STATE_INSERT, "INSERT INTO state (context, node, next, window_index, window_bits, sum) "                         \
                    "VALUES (?1, 1, ?2, ?3, ?4, ?5)")                                                                  \
    X(STATE, "SELECT next, window_index, window_bits, sum FROM state WHERE context = ?1")                              \
    X(STATE_RAISE, "UPDATE state SET next = ?2, window_index = ?3, window_bits = ?4, sum = ?5 "                        \
                   "WHERE context = ?1 AND next < ?2")                                                                 \
    X(STATE_SET, "UPDATE state SET next = ?2, window_index = ?3, window_bits = ?4, sum = ?5 "                          \
                 "WHERE context = ?1 AND next = ?6")                                                                   \
    X(STATE_DELETE, "DELETE FROM state WHERE context = ?1")                                                            \
    X(COUNT, "SELECT status, count(*) FROM contexts GROUP BY status")                                                  \
    X(EXHAUSTED, "SELECT count(*) FROM state WHERE next >= 1099511627776")

#endif
