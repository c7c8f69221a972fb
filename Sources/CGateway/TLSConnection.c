#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "TLSInternal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

// MARK: The socket under OpenSSL
//
// A BIO of our own rather than OpenSSL's for sockets: it knows whether a receive has emptied the socket, which saves
// the call that would only say so, and never raises SIGPIPE.

static int socket_read(BIO *bio, char *buffer, int capacity) {
    struct cgateway_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t count;
    do {
        count = recv(tls->descriptor, buffer, (size_t)capacity, 0);
    } while (count < 0 && errno == EINTR);
    tls->is_drained = count < capacity;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)count;
}

static int socket_write(BIO *bio, const char *bytes, int count) {
    struct cgateway_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent;
    do {
        sent = send(tls->descriptor, bytes, (size_t)count, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    return (int)sent;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
    }
}

static BIO_METHOD *socket_method;

static void make_method(void) {
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gateway socket");
    if (socket_method == NULL) return;
    BIO_meth_set_read(socket_method, socket_read);
    BIO_meth_set_write(socket_method, socket_write);
    BIO_meth_set_ctrl(socket_method, socket_control);
}

static BIO *make_bio(struct cgateway_tls *tls) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = socket_method != NULL ? BIO_new(socket_method) : NULL;
    if (bio == NULL) return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

// MARK: Opening and ending

static bool expect_server(SSL *ssl, const char *name) {
    unsigned char address[16];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct cgateway_tls *cgateway_tls_open(struct cgateway_tls_context *context, int descriptor) {
    struct cgateway_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) return NULL;
    tls->descriptor = descriptor;
    tls->context = context;
    atomic_fetch_add(&context->references, 1);
    tls->ssl = SSL_new(context->entries[0]);
    BIO *bio = tls->ssl != NULL ? make_bio(tls) : NULL;
    if (bio == NULL) {
        cgateway_tls_free(tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    if (context->server_name == NULL) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
        if (!expect_server(tls->ssl, context->server_name)) {
            cgateway_tls_free(tls);
            return NULL;
        }
    }
    return tls;
}

void cgateway_tls_free(struct cgateway_tls *tls) {
    if (tls == NULL) return;
    SSL_free(tls->ssl);
    cgateway_tls_context_free(tls->context);
    free(tls);
}

// What a call that did not succeed means. `socket_error` is errno as it was right after it.
static int failure(struct cgateway_tls *tls, int result, int socket_error) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL:
        tls->is_broken = true;
        return socket_error != 0 ? -socket_error : -ECONNRESET;
    default:
        tls->is_broken = true;
        // An end without close_notify.
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return -ECONNRESET;
        return -EPROTO;
    }
}

// MARK: Handshake

static void take_peer(struct cgateway_tls *tls) {
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK) return;
    static const char prefix[] = "subject:";
    char *text = NULL;
    long length = 0;
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL && X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
        length = BIO_get_mem_data(memory, &text);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    tls->has_peer = length > 0 && hash != NULL &&
                    X509_digest(certificate, EVP_sha256(), tls->peer.certificate, NULL) == 1 &&
                    EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                    EVP_DigestUpdate(hash, prefix, sizeof prefix - 1) == 1 &&
                    EVP_DigestUpdate(hash, text, (size_t)length) == 1 &&
                    EVP_DigestFinal_ex(hash, tls->peer.subject, NULL) == 1;
    EVP_MD_CTX_free(hash);
    BIO_free(memory);
}

int cgateway_tls_handshake(struct cgateway_tls *tls) {
    if (tls->is_broken) return -EPROTO;
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        take_peer(tls);
        return 0;
    }
    int error = failure(tls, result, errno);
    if (error == -EAGAIN) return error;
    tls->is_broken = true;
    long verification = SSL_get_verify_result(tls->ssl);
    bool is_distrusted = verification != X509_V_OK;
    if (is_distrusted) {
        snprintf(tls->reason, sizeof tls->reason, "%s", X509_verify_cert_error_string(verification));
        ERR_clear_error();
    } else {
        cgateway_tls_note_error(tls->reason, sizeof tls->reason, "");
    }
    if (is_distrusted) return -EKEYREJECTED;
    return error == 0 ? -ECONNRESET : error;
}

// MARK: Bytes

ssize_t cgateway_tls_receive(struct cgateway_tls *tls, void *buffer, size_t capacity, bool *more) {
    *more = false;
    if (tls->is_broken) return -ECONNRESET;
    size_t total = 0;
    // Only what this call finds counts: more may have come since the socket was found empty before, and the event that
    // told of it may have been handled already.
    tls->is_drained = false;
    ERR_clear_error();
    while (total < capacity) {
        size_t count = 0;
        errno = 0;
        int result = SSL_read_ex(tls->ssl, (char *)buffer + total, capacity - total, &count);
        if (result != 1) {
            int error = failure(tls, result, errno);
            if (total == 0) return error;
            // What came before the end or the fault goes first; the next call finds it again.
            *more = error != -EAGAIN;
            return (ssize_t)total;
        }
        total += count;
        if (tls->is_drained && SSL_has_pending(tls->ssl) == 0) return (ssize_t)total;
    }
    *more = true;
    return (ssize_t)total;
}

ssize_t cgateway_tls_send(struct cgateway_tls *tls, const void *bytes, size_t count) {
    if (tls->is_broken) return -EPIPE;
    size_t total = 0;
    ERR_clear_error();
    while (total < count) {
        size_t sent = 0;
        errno = 0;
        int result = SSL_write_ex(tls->ssl, (const char *)bytes + total, count - total, &sent);
        if (result != 1) {
            int error = failure(tls, result, errno);
            if (error == 0) error = -EPIPE;
            return total > 0 ? (ssize_t)total : error;
        }
        total += sent;
    }
    return (ssize_t)total;
}

int cgateway_tls_finish(struct cgateway_tls *tls) {
    if (tls->is_broken || tls->has_finished || !SSL_is_init_finished(tls->ssl)) return 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_shutdown(tls->ssl);
    if (result < 0 && failure(tls, result, errno) == -EAGAIN && SSL_want_write(tls->ssl)) return -EAGAIN;
    tls->has_finished = true;
    return 0;
}

bool cgateway_tls_wants_write(const struct cgateway_tls *tls) { return SSL_want_write(tls->ssl); }

// MARK: What the handshake found

bool cgateway_tls_is_resumed(const struct cgateway_tls *tls) { return SSL_session_reused(tls->ssl) == 1; }

int cgateway_tls_version(const struct cgateway_tls *tls) { return SSL_version(tls->ssl); }

const uint8_t *cgateway_tls_protocol(const struct cgateway_tls *tls, size_t *length) {
    const uint8_t *protocol = NULL;
    unsigned int count = 0;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &count);
    *length = count;
    return protocol;
}

const struct cgateway_certificate_digests *cgateway_tls_peer(const struct cgateway_tls *tls) {
    return tls->has_peer ? &tls->peer : NULL;
}

const char *cgateway_tls_reason(const struct cgateway_tls *tls) { return tls->reason; }
