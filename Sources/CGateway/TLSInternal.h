// What the files of TLS share.
#pragma once

#include "CGatewayTLS.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

struct cgateway_tls_context {
    atomic_int references;
    int minimum_version;
    struct cgateway_ticket_keys *keys;
    // A server's: one for each certificate, the first for clients that name nobody. A client's: one.
    SSL_CTX **entries;
    size_t count;
    int64_t expiry;
    uint8_t protocols[64];
    size_t protocols_length;
    // A client's: the name or address that the certificate has to be for; NULL in a server's.
    char *server_name;
};

struct cgateway_tls {
    SSL *ssl;
    struct cgateway_tls_context *context;
    int descriptor;
    // The last receive found less than it asked for: the socket is empty until epoll says otherwise.
    bool is_drained;
    // After an error of the protocol or the socket OpenSSL must not be called again.
    bool is_broken;
    bool has_finished;
    bool has_peer;
    struct cgateway_certificate_digests peer;
    char reason[96];
};

// `what`, and behind it the cause that OpenSSL has noted.
void cgateway_tls_note_error(char *reason, size_t capacity, const char *what);
