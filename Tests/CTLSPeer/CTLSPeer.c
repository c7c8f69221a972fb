#include "CTLSPeer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

struct ctlspeer {
    SSL_CTX *context;
    SSL *ssl;
};

static bool set_up(SSL_CTX *context, const struct ctlspeer_settings *settings) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    SSL_CTX_set_min_proto_version(context, settings->minimum_version);
    SSL_CTX_set_max_proto_version(context, settings->maximum_version);
    if (settings->ciphers != NULL) {
        SSL_CTX_set_security_level(context, 0);
        if (SSL_CTX_set_cipher_list(context, settings->ciphers) != 1) return false;
    }
    if (settings->authorities != NULL) {
        if (SSL_CTX_load_verify_file(context, settings->authorities) != 1) return false;
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (settings->certificate == NULL) return true;
    return SSL_CTX_use_certificate_chain_file(context, settings->certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) == 1;
}

static bool begin(struct ctlspeer *peer, const struct ctlspeer_settings *settings) {
    if (settings->server_name != NULL) {
        SSL_set_tlsext_host_name(peer->ssl, settings->server_name);
        if (settings->authorities != NULL) SSL_set1_host(peer->ssl, settings->server_name);
    }
    if (settings->protocol != NULL) {
        unsigned char list[64];
        size_t length = strlen(settings->protocol);
        if (length >= sizeof list) return false;
        list[0] = (unsigned char)length;
        memcpy(list + 1, settings->protocol, length);
        if (SSL_set_alpn_protos(peer->ssl, list, (unsigned)length + 1) != 0) return false;
    }
    if (settings->session != NULL) SSL_set_session(peer->ssl, settings->session);
    return (settings->is_server ? SSL_accept(peer->ssl) : SSL_connect(peer->ssl)) == 1;
}

struct ctlspeer *ctlspeer_open(int descriptor, const struct ctlspeer_settings *settings, char *reason) {
    ERR_clear_error();
    struct ctlspeer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) return NULL;
    peer->context = SSL_CTX_new(settings->is_server ? TLS_server_method() : TLS_client_method());
    bool done = peer->context != NULL && set_up(peer->context, settings);
    peer->ssl = done ? SSL_new(peer->context) : NULL;
    done = peer->ssl != NULL && SSL_set_fd(peer->ssl, descriptor) == 1 && begin(peer, settings);
    if (done) return peer;
    const char *text = ERR_reason_error_string(ERR_peek_error());
    strncpy(reason, text != NULL ? text : "the connection ended", 255);
    ctlspeer_free(peer);
    return NULL;
}

void ctlspeer_free(struct ctlspeer *peer) {
    if (peer == NULL) return;
    // Or OpenSSL takes the end for a fault, after which a session is not resumed.
    if (peer->ssl != NULL) SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
    free(peer);
}

ssize_t ctlspeer_read(struct ctlspeer *peer, void *buffer, size_t capacity) {
    size_t count = 0;
    ERR_clear_error();
    int result = SSL_read_ex(peer->ssl, buffer, capacity, &count);
    if (result == 1) return (ssize_t)count;
    return SSL_get_error(peer->ssl, result) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

ssize_t ctlspeer_write(struct ctlspeer *peer, const void *bytes, size_t count) {
    size_t written = 0;
    ERR_clear_error();
    return SSL_write_ex(peer->ssl, bytes, count, &written) == 1 ? (ssize_t)written : -1;
}

void ctlspeer_finish(struct ctlspeer *peer) { SSL_shutdown(peer->ssl); }
int ctlspeer_version(const struct ctlspeer *peer) { return SSL_version(peer->ssl); }
bool ctlspeer_is_resumed(const struct ctlspeer *peer) { return SSL_session_reused(peer->ssl) == 1; }
void *ctlspeer_session(const struct ctlspeer *peer) { return SSL_get1_session(peer->ssl); }
void ctlspeer_session_free(void *session) { SSL_SESSION_free(session); }

void ctlspeer_common_name(const struct ctlspeer *peer, char *name, size_t capacity) {
    name[0] = 0;
    X509 *certificate = SSL_get0_peer_certificate(peer->ssl);
    if (certificate == NULL) return;
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, (int)capacity);
}

void ctlspeer_protocol(const struct ctlspeer *peer, char *name, size_t capacity) {
    const unsigned char *text = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(peer->ssl, &text, &length);
    if (length >= capacity) length = 0;
    if (length > 0) memcpy(name, text, length);
    name[length] = 0;
}
