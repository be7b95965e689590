-- SPDX-License-Identifier: MIT
-- Schema 1 of a database of contexts: many contexts, their state, and what detects old copies. The build makes a C string of this
-- file.
--
-- Numbers are at most 2^40. IDs and keys are blobs. "sum" is SipHash over the other columns under meta.hash_key: it detects damage.

-- One row about the database.
CREATE TABLE meta (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    schema          INTEGER NOT NULL, -- version of these tables
    database        BLOB NOT NULL,    -- 16 random bytes that name it
    hash_key        BLOB NOT NULL,    -- 16 bytes, of "sum"
    fingerprint_key BLOB NOT NULL,    -- 32 bytes, of "fingerprint"
    kek             BLOB,             -- proof of the key-encryption key; NULL: keys are in plain
    identity        TEXT,             -- of the file that is used; NULL: never opened for writing
    writes          INTEGER NOT NULL  -- transactions so far
) STRICT;

-- Servers that use the database. SQLite has one: node 1.
CREATE TABLE nodes (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

-- Contexts. A row is never deleted: when a context ends, "keys" is erased and "ceiling" keeps its next number.
CREATE TABLE contexts (
    id               INTEGER PRIMARY KEY,
    status           INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3), -- active, removed, revoked, exported
    fingerprint      BLOB NOT NULL UNIQUE, -- HMAC-SHA-256 of the Sender Key, 16 bytes
    peer_fingerprint BLOB NOT NULL,        -- the same of the Recipient Key
    name             TEXT,
    aead             INTEGER NOT NULL, -- COSE number
    hash             INTEGER NOT NULL, -- 0 SHA-256, 1 SHA-384, 2 SHA-512
    window           INTEGER NOT NULL CHECK (window BETWEEN 1 AND 1024),
    sender_id        BLOB NOT NULL,
    recipient_id     BLOB NOT NULL,
    id_context       BLOB,             -- NULL: none
    keys             BLOB,             -- secret, salt, derived keys; encrypted with a key-encryption key
    ceiling          INTEGER CHECK (ceiling BETWEEN 0 AND 1099511627776),
    sum              INTEGER NOT NULL,
    CHECK ((status = 0) = (keys IS NOT NULL)),
    CHECK ((status = 0) = (ceiling IS NULL))
) STRICT;
-- One active context for a Recipient Key; ended ones are found by it too.
CREATE UNIQUE INDEX contexts_peer ON contexts (peer_fingerprint, (CASE status WHEN 0 THEN 0 ELSE id END));
CREATE UNIQUE INDEX contexts_name ON contexts (name) WHERE status = 0 AND name IS NOT NULL;
CREATE INDEX contexts_kid ON contexts (recipient_id, id_context) WHERE status = 0;

-- The state of each active context.
CREATE TABLE state (
    context      INTEGER PRIMARY KEY REFERENCES contexts (id),
    node         INTEGER NOT NULL REFERENCES nodes (id),
    next         INTEGER NOT NULL CHECK (next BETWEEN 0 AND 1099511627776), -- numbers below may have been used
    window_index INTEGER, -- replay window; NULL: unknown
    window_bits  BLOB,
    sum          INTEGER NOT NULL
) STRICT;
