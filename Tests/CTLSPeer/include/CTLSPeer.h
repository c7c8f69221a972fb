// The other side of TLS in the gateway's tests: plain, blocking use of OpenSSL over a connected socket.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ctlspeer_settings {
    bool is_server;
    // The authorities that the other side has to be of; NULL takes anybody.
    const char *authorities;
    const char *certificate;
    const char *key;
    // What is asked for, and has to be in the other side's certificate; NULL for none.
    const char *server_name;
    // 0x0303, 0x0304; 0 for any.
    int minimum_version;
    int maximum_version;
    // Cipher suites of TLS 1.2 and before; NULL for the usual ones.
    const char *ciphers;
    // Of an earlier connection, from `ctlspeer_session`; NULL for none.
    void *session;
    // One protocol to offer; NULL for none.
    const char *protocol;
};

struct ctlspeer;

// Shakes hands. NULL with the reason (256 bytes) where it fails.
struct ctlspeer *ctlspeer_open(int descriptor, const struct ctlspeer_settings *settings, char *reason);
void ctlspeer_free(struct ctlspeer *peer);
// As read(2), 0 being close_notify alone; -1 for an end without it.
ssize_t ctlspeer_read(struct ctlspeer *peer, void *buffer, size_t capacity);
ssize_t ctlspeer_write(struct ctlspeer *peer, const void *bytes, size_t count);
void ctlspeer_finish(struct ctlspeer *peer);
int ctlspeer_version(const struct ctlspeer *peer);
bool ctlspeer_is_resumed(const struct ctlspeer *peer);
// A session to resume; the caller frees it.
void *ctlspeer_session(const struct ctlspeer *peer);
void ctlspeer_session_free(void *session);
// The common name of the other side's certificate, and the protocol that was agreed on; empty where there is none.
void ctlspeer_common_name(const struct ctlspeer *peer, char *name, size_t capacity);
void ctlspeer_protocol(const struct ctlspeer *peer, char *name, size_t capacity);
