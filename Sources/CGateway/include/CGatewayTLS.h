// TLS through OpenSSL for connections that an event loop owns: nothing here waits. Every function that can fail gives
// back -errno, with -EAGAIN for "not now"; contexts give back the reason as text.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What connections are made with: certificates, versions, who is trusted. May be used by several threads once it is set
// up; connections keep what they were made with after it has been freed.
struct cgateway_tls_context;

// One connection's state. `receive`, `send` and the rest are for the thread of its loop only.
struct cgateway_tls;

// Keys of session tickets, shared by the contexts that a listener has over time and by all loops, so that a session may
// be resumed on any of them. A new key is made every `lifetime_seconds`; the one before it is still accepted.
struct cgateway_ticket_keys;

struct cgateway_ticket_keys *cgateway_ticket_keys_create(int64_t lifetime_seconds);
void cgateway_ticket_keys_free(struct cgateway_ticket_keys *keys);

// Room for a reason; longer ones are cut.
enum { CGATEWAY_TLS_REASON = 256 };

// MARK: Contexts

// For connections that consumers make; certificates come first, then the rest. Versions as in the protocol: 0x0303 is
// TLS 1.2, 0x0304 TLS 1.3. `keys` has to last longer than the context. NULL where there is no memory.
struct cgateway_tls_context *cgateway_tls_server(int minimum_version, struct cgateway_ticket_keys *keys);

// Adds a certificate with its chain and key, both PEM. It answers for the names that it is for; the first one answers
// where no name matches. False with the reason where it does not fit or is too weak.
bool cgateway_tls_add_certificate(
    struct cgateway_tls_context *context, const char *certificate_file, const char *key_file,
    char reason[CGATEWAY_TLS_REASON]);

// When the earliest of the certificates ends, in seconds since 1970.
int64_t cgateway_tls_expiry(const struct cgateway_tls_context *context);

// Asks clients for a certificate of these authorities (PEM), and refuses them where they have none if `required`.
bool cgateway_tls_ask_clients(
    struct cgateway_tls_context *context, const char *authorities_file, bool required,
    char reason[CGATEWAY_TLS_REASON]);

// The protocols that are offered (RFC 7301), in the order of preference, each with a byte of its length before it.
bool cgateway_tls_offer(struct cgateway_tls_context *context, const uint8_t *protocols, size_t length);

// For connections to instances, whose certificates must be of these authorities (PEM; NULL for the system's) and for
// this name or address. `certificate_file` and `key_file` are shown to an instance that asks; NULL for none.
struct cgateway_tls_context *cgateway_tls_client(
    const char *authorities_file, const char *server_name, const char *certificate_file, const char *key_file,
    char reason[CGATEWAY_TLS_REASON]);

void cgateway_tls_context_free(struct cgateway_tls_context *context);

// MARK: Connections

// For a connected, non-blocking socket; NULL where there is no memory.
struct cgateway_tls *cgateway_tls_open(struct cgateway_tls_context *context, int descriptor);
void cgateway_tls_free(struct cgateway_tls *tls);

// Goes on with the handshake: 0 when it is done, -EAGAIN, or why it failed: -EPROTO for what the peer did or sent,
// -EKEYREJECTED for a certificate that is not trusted, other values from the socket.
int cgateway_tls_handshake(struct cgateway_tls *tls);

// Receives until the room is full or nothing is there. `*more` says whether another call may find something. 0 is the
// peer's close_notify; an end without it is -ECONNRESET, since what was received may have been cut short.
ssize_t cgateway_tls_receive(struct cgateway_tls *tls, void *buffer, size_t capacity, bool *more);

// After -EAGAIN the same bytes have to come again, more behind them are allowed.
ssize_t cgateway_tls_send(struct cgateway_tls *tls, const void *bytes, size_t count);

// Sends close_notify if it has not been sent: 0, or -EAGAIN where the socket does not take it now.
int cgateway_tls_finish(struct cgateway_tls *tls);

// Whether what was waited for is the socket taking something: try again when it is writable.
bool cgateway_tls_wants_write(const struct cgateway_tls *tls);

// MARK: What the handshake found

bool cgateway_tls_is_resumed(const struct cgateway_tls *tls);
// 0x0303, 0x0304.
int cgateway_tls_version(const struct cgateway_tls *tls);
// The protocol that was agreed on; empty where none was.
const uint8_t *cgateway_tls_protocol(const struct cgateway_tls *tls, size_t *length);

// What tells a peer's certificate: SHA-256 of the certificate, and of its subject as text in the form of RFC 2253 with
// "subject:" before it.
struct cgateway_certificate_digests {
    uint8_t certificate[32];
    uint8_t subject[32];
};

// NULL where the peer has shown none that is trusted.
const struct cgateway_certificate_digests *cgateway_tls_peer(const struct cgateway_tls *tls);

// Why the handshake failed, in words of OpenSSL; empty where it did not.
const char *cgateway_tls_reason(const struct cgateway_tls *tls);
