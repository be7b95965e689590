/* SPDX-License-Identifier: MIT */
/* edhoc_peer: one end of EDHOC over lines of hex: what it receives comes on standard input, what it sends goes to standard
 * output. Ends with the line "keys MASTER_SECRET MASTER_SALT SENDER_ID RECIPIENT_ID", or "aborted FAULT".
 *
 *     edhoc_peer initiator|responder kid|value 3|4 OWN_CCS OWN_KEY PEER_CCS [SUITE…]
 *
 * Method 3, P-256; 3 or 4 is the number of messages. The CCSs have kids. */
#include <nacre/nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGE = 1024 };

static nacre_bytes unhex(const char *text)
{
    size_t len = strlen(text) / 2;
    uint8_t *bytes = malloc(len + 1);
    for (size_t i = 0; bytes != NULL && i < len; i++) {
        const char pair[3] = { text[2 * i], text[2 * i + 1], 0 };
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return nacre_bytes_of(bytes, bytes != NULL ? len : 0);
}

static void print(const char *before, nacre_bytes bytes)
{
    fputs(before, stdout);
    for (size_t i = 0; i < bytes.len; i++) printf("%02x", bytes.ptr[i]);
}

static void check(nacre_err err, const char *what)
{
    if (err == NACRE_OK) return;
    fprintf(stderr, "edhoc_peer: %s: %s\n", what, nacre_err_text(err));
    exit(1);
}

static void send_line(nacre_bytes message)
{
    print("", message);
    putchar('\n');
    fflush(stdout);
}

static int report(nacre_edhoc *s)
{
    nacre_edhoc_secrets secrets;
    nacre_context_params params;
    check(nacre_edhoc_context(s, &params, &secrets), "context");
    print("keys ", params.master_secret.bytes);
    print(" ", params.master_salt);
    print(" ", params.sender_id);
    print(" ", params.recipient_id);
    putchar('\n');
    nacre_wipe(&secrets, sizeof secrets);
    nacre_edhoc_wipe(s);
    return 0;
}

static int run(nacre_edhoc *s)
{
    char line[2 * MAX_MESSAGE + 2];
    uint8_t buf[MAX_MESSAGE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        nacre_edhoc_result result;
        nacre_bytes in = unhex(line);
        check(nacre_edhoc_receive(s, &result, NACRE_BUF(buf), in), "receive");
        free((void *)(uintptr_t)in.ptr);
        if (!nacre_is_absent(result.message)) send_line(result.message);
        if (result.verdict == NACRE_EDHOC_ABORTED) {
            printf("aborted %s\n", nacre_edhoc_fault_text(result.fault));
            return 1;
        }
        if (result.verdict == NACRE_EDHOC_COMPLETE || result.complete) return report(s);
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 7) return 2;
    nacre_crypto crypto;
    nacre_pk pk;
    check(nacre_openssl_open(&crypto), "provider");
    check(nacre_openssl_pk_open(&pk), "provider");
    static const uint8_t c_i[] = { 0x2d }, c_r[] = { 0x18 }, spare[] = { 0x19 };
    uint8_t id[256], buf[MAX_MESSAGE];
    int8_t suites[NACRE_EDHOC_MAX_SUITES] = { 2 };
    bool initiates = strcmp(argv[1], "initiator") == 0, by_value = strcmp(argv[2], "value") == 0;
    nacre_edhoc_identity identity = { .uses = NACRE_EDHOC_AGREES };
    nacre_edhoc_known known = { .peer = &known };
    nacre_edhoc_peers peers = { &known, 1, NULL };
    nacre_bytes ccs = unhex(argv[4]), kid, message;
    check(nacre_edhoc_read_ccs(&identity.credential, &kid, ccs), "own CCS");
    check(by_value ? nacre_edhoc_id_kccs(&identity.id_cred, NACRE_BUF(id), ccs)
                   : nacre_edhoc_id_kid(&identity.id_cred, NACRE_BUF(id), kid),
          "ID_CRED");
    identity.private_key = (nacre_private_key){ NACRE_P256, { unhex(argv[5]), 0 } };
    check(nacre_edhoc_read_ccs(&known.credential, &known.kid, unhex(argv[6])), "peer's CCS");
    nacre_edhoc_config config = nacre_edhoc_config_default();
    config.crypto = &crypto;
    config.pk = &pk;
    config.suites = suites;
    config.num_suites = argc > 7 ? (size_t)argc - 7 : 1;
    for (int i = 7; i < argc && i < 7 + NACRE_EDHOC_MAX_SUITES; i++) suites[i - 7] = (int8_t)atoi(argv[i]);
    config.method = 3;
    config.methods = 1 << 3;
    config.message_4 = strcmp(argv[3], "4") == 0;
    config.identities = &identity;
    config.num_identities = 1;
    config.trust = nacre_edhoc_trust_peers(&peers);
    nacre_edhoc session;
    if (initiates) {
        check(nacre_edhoc_initiate(&session, &message, NACRE_BUF(buf), &config, NACRE_ARRAY(c_i)), "initiate");
        send_line(message);
    } else check(nacre_edhoc_respond(&session, &config, NACRE_ARRAY(c_r), NACRE_ARRAY(spare)), "respond");
    return run(&session);
}
