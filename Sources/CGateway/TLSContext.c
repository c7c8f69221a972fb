#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "TLSInternal.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

// Forward-secret ciphers with authenticated encryption (RFC 9325, section 4.2); TLS 1.3 has no others.
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
#define GROUPS "X25519:P-256:P-384"

void cgateway_tls_note_error(char *reason, size_t capacity, const char *what) {
    // The first error in the queue is the cause; what follows are its consequences.
    unsigned long error = ERR_peek_error();
    const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;
    if (text == NULL && ERR_SYSTEM_ERROR(error)) text = strerror(ERR_GET_REASON(error));
    snprintf(reason, capacity, "%s%s%s", what, text != NULL && *what != 0 ? ": " : "", text != NULL ? text : "");
    ERR_clear_error();
}

static bool refuse(char reason[CGATEWAY_TLS_REASON], const char *what) {
    cgateway_tls_note_error(reason, CGATEWAY_TLS_REASON, what);
    return false;
}

// MARK: Tickets

struct ticket_key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char mac[32];
    int64_t made_at;
};

struct cgateway_ticket_keys {
    pthread_mutex_t lock;
    int64_t lifetime;
    // The first encrypts; both decrypt.
    struct ticket_key keys[2];
};

static int64_t seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static bool make_ticket_key(struct ticket_key *key) {
    key->made_at = seconds_now();
    return RAND_bytes(key->name, sizeof key->name) == 1 && RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
           RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
}

struct cgateway_ticket_keys *cgateway_ticket_keys_create(int64_t lifetime_seconds) {
    struct cgateway_ticket_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) return NULL;
    pthread_mutex_init(&keys->lock, NULL);
    keys->lifetime = lifetime_seconds;
    if (!make_ticket_key(&keys->keys[0]) || !make_ticket_key(&keys->keys[1])) {
        cgateway_ticket_keys_free(keys);
        return NULL;
    }
    return keys;
}

void cgateway_ticket_keys_free(struct cgateway_ticket_keys *keys) {
    if (keys == NULL) return;
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys->keys, sizeof keys->keys);
    free(keys);
}

// The key that encrypts (name NULL), or that of the name; -1 where there is none, 1 where it is not the newest.
static int find_ticket_key(struct cgateway_ticket_keys *keys, const unsigned char *name, struct ticket_key *found) {
    int result = -1;
    pthread_mutex_lock(&keys->lock);
    if (seconds_now() - keys->keys[0].made_at >= keys->lifetime) {
        struct ticket_key fresh;
        if (make_ticket_key(&fresh)) {
            keys->keys[1] = keys->keys[0];
            keys->keys[0] = fresh;
        }
        OPENSSL_cleanse(&fresh, sizeof fresh);
    }
    for (int index = 0; index < 2 && result < 0; index++) {
        if (name != NULL && memcmp(keys->keys[index].name, name, sizeof keys->keys[index].name) != 0) continue;
        *found = keys->keys[index];
        result = index;
    }
    pthread_mutex_unlock(&keys->lock);
    return result;
}

static int ticket_callback(
    SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts) {
    struct cgateway_ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    int index = find_ticket_key(keys, encrypts ? NULL : name, &key);
    // Unknown: a full handshake.
    if (index < 0) return 0;
    int result = -1;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end()};
    if (encrypts) {
        memcpy(name, key.name, sizeof key.name);
        if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) == 1 &&
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1 &&
            EVP_MAC_CTX_set_params(mac, params) == 1)
            result = 1;
    } else if (EVP_MAC_CTX_set_params(mac, params) == 1 &&
               EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1) {
        // 2: accepted, and a ticket under the new key goes back.
        result = index == 0 ? 1 : 2;
    }
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

// MARK: Making contexts

static SSL_CTX *make(const SSL_METHOD *method, int minimum_version, char reason[CGATEWAY_TLS_REASON]) {
    SSL_CTX *ssl = SSL_CTX_new(method);
    if (ssl == NULL) {
        refuse(reason, "OpenSSL has no memory for a context");
        return NULL;
    }
    SSL_CTX_set_mode(
        ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // One system call for as much as is there, rather than one for each record's head and one for its rest.
    SSL_CTX_set_read_ahead(ssl, 1);
    // RSA of 2048 bits, elliptic curves of 224, no SHA-1 signatures (112 bits of security).
    SSL_CTX_set_security_level(ssl, 2);
    if (SSL_CTX_set_min_proto_version(ssl, minimum_version) != 1 ||
        SSL_CTX_set_cipher_list(ssl, TLS12_CIPHERS) != 1 || SSL_CTX_set1_groups_list(ssl, GROUPS) != 1) {
        refuse(reason, "OpenSSL does not take the protocol's settings");
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

static SSL_CTX *make_server(const struct cgateway_tls_context *context, char reason[CGATEWAY_TLS_REASON]) {
    SSL_CTX *ssl = make(TLS_server_method(), context->minimum_version, reason);
    if (ssl == NULL) return NULL;
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // Sessions are in the tickets only: no memory that strangers could fill, and good on every loop.
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, (long)context->keys->lifetime);
    SSL_CTX_set_app_data(ssl, context->keys);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_callback);
    return ssl;
}

static struct cgateway_tls_context *make_context(int minimum_version, struct cgateway_ticket_keys *keys) {
    struct cgateway_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    atomic_init(&context->references, 1);
    context->minimum_version = minimum_version;
    context->keys = keys;
    context->expiry = INT64_MAX;
    return context;
}

void cgateway_tls_context_free(struct cgateway_tls_context *context) {
    if (context == NULL || atomic_fetch_sub(&context->references, 1) != 1) return;
    for (size_t index = 0; index < context->count; index++) SSL_CTX_free(context->entries[index]);
    free(context->entries);
    free(context->server_name);
    free(context);
}

int64_t cgateway_tls_expiry(const struct cgateway_tls_context *context) { return context->expiry; }

static bool append(struct cgateway_tls_context *context, SSL_CTX *ssl) {
    SSL_CTX **grown = realloc(context->entries, (context->count + 1) * sizeof *grown);
    if (grown == NULL) return false;
    context->entries = grown;
    context->entries[context->count++] = ssl;
    return true;
}

// MARK: Certificates

static int64_t seconds_of(const ASN1_TIME *time) {
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static bool check_key_file(const char *file, char reason[CGATEWAY_TLS_REASON]) {
    struct stat status;
    if (stat(file, &status) < 0) {
        snprintf(reason, CGATEWAY_TLS_REASON, "%s: %s", file, strerror(errno));
        return false;
    }
    if ((status.st_mode & S_IROTH) == 0) return true;
    snprintf(reason, CGATEWAY_TLS_REASON, "%s: everybody may read the key; chmod 600 it", file);
    return false;
}

static bool use_certificate(SSL_CTX *ssl, const char *file, const char *key_file, char reason[CGATEWAY_TLS_REASON]) {
    ERR_clear_error();
    if (!check_key_file(key_file, reason)) return false;
    if (SSL_CTX_use_certificate_chain_file(ssl, file) != 1) return refuse(reason, file);
    if (SSL_CTX_use_PrivateKey_file(ssl, key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return refuse(reason, key_file);
    return true;
}

// The first certificate that is for the name the client asks for; without one, the first of all stays.
static int select_certificate(SSL *ssl, int *alert, void *argument) {
    (void)alert;
    const struct cgateway_tls_context *context = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL) return SSL_TLSEXT_ERR_NOACK;
    for (size_t index = 0; index < context->count; index++) {
        X509 *certificate = SSL_CTX_get0_certificate(context->entries[index]);
        if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1) continue;
        if (index > 0) SSL_set_SSL_CTX(ssl, context->entries[index]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int select_protocol(
    SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered,
    unsigned int offered_length, void *argument) {
    (void)ssl;
    const struct cgateway_tls_context *context = argument;
    unsigned char *found;
    int result = SSL_select_next_proto(
        &found, length, context->protocols, (unsigned)context->protocols_length, offered, offered_length);
    // RFC 7301, section 3.2: a client that speaks nothing of ours is told so.
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

struct cgateway_tls_context *cgateway_tls_server(int minimum_version, struct cgateway_ticket_keys *keys) {
    return make_context(minimum_version, keys);
}

bool cgateway_tls_add_certificate(
    struct cgateway_tls_context *context, const char *certificate_file, const char *key_file,
    char reason[CGATEWAY_TLS_REASON]) {
    SSL_CTX *ssl = make_server(context, reason);
    if (ssl == NULL) return false;
    if (!use_certificate(ssl, certificate_file, key_file, reason)) {
        SSL_CTX_free(ssl);
        return false;
    }
    if (!append(context, ssl)) {
        SSL_CTX_free(ssl);
        return refuse(reason, "no memory for another certificate");
    }
    int64_t expiry = seconds_of(X509_get0_notAfter(SSL_CTX_get0_certificate(ssl)));
    if (expiry < context->expiry) context->expiry = expiry;
    SSL_CTX_set_tlsext_servername_callback(ssl, select_certificate);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
    return true;
}

// Sessions that were made under other rules of trust must not be resumed.
static bool name_trust(SSL_CTX *ssl, const char *authorities_file, bool required) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    FILE *file = fopen(authorities_file, "r");
    bool done = hash != NULL && file != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(hash, &required, sizeof required) == 1;
    char chunk[4096];
    size_t count;
    while (done && (count = fread(chunk, 1, sizeof chunk, file)) > 0)
        done = EVP_DigestUpdate(hash, chunk, count) == 1;
    done = done && EVP_DigestFinal_ex(hash, digest, NULL) == 1 &&
           SSL_CTX_set_session_id_context(ssl, digest, sizeof digest) == 1;
    if (file != NULL) fclose(file);
    EVP_MD_CTX_free(hash);
    return done;
}

bool cgateway_tls_ask_clients(
    struct cgateway_tls_context *context, const char *authorities_file, bool required,
    char reason[CGATEWAY_TLS_REASON]) {
    ERR_clear_error();
    for (size_t index = 0; index < context->count; index++) {
        SSL_CTX *ssl = context->entries[index];
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(authorities_file);
        if (names == NULL) return refuse(reason, authorities_file);
        SSL_CTX_set_client_CA_list(ssl, names);
        if (SSL_CTX_load_verify_file(ssl, authorities_file) != 1 || !name_trust(ssl, authorities_file, required))
            return refuse(reason, authorities_file);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    }
    return true;
}

bool cgateway_tls_offer(struct cgateway_tls_context *context, const uint8_t *protocols, size_t length) {
    if (length > sizeof context->protocols) return false;
    memcpy(context->protocols, protocols, length);
    context->protocols_length = length;
    for (size_t index = 0; index < context->count; index++) {
        if (context->server_name != NULL) {
            if (SSL_CTX_set_alpn_protos(context->entries[index], protocols, (unsigned)length) != 0) return false;
        } else {
            SSL_CTX_set_alpn_select_cb(context->entries[index], select_protocol, context);
        }
    }
    return true;
}

// MARK: To instances

static bool set_up_client(
    SSL_CTX *ssl, const char *authorities_file, const char *certificate_file, const char *key_file,
    char reason[CGATEWAY_TLS_REASON]) {
    if (authorities_file != NULL) {
        if (SSL_CTX_load_verify_file(ssl, authorities_file) != 1) return refuse(reason, authorities_file);
    } else if (SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return refuse(reason, "the system's authorities");
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return certificate_file == NULL || use_certificate(ssl, certificate_file, key_file, reason);
}

struct cgateway_tls_context *cgateway_tls_client(
    const char *authorities_file, const char *server_name, const char *certificate_file, const char *key_file,
    char reason[CGATEWAY_TLS_REASON]) {
    ERR_clear_error();
    struct cgateway_tls_context *context = make_context(TLS1_2_VERSION, NULL);
    SSL_CTX *ssl = make(TLS_client_method(), TLS1_2_VERSION, reason);
    if (context != NULL) context->server_name = strdup(server_name);
    if (context != NULL && context->server_name != NULL && ssl != NULL &&
        set_up_client(ssl, authorities_file, certificate_file, key_file, reason)) {
        if (append(context, ssl)) return context;
        refuse(reason, "no memory for a context");
    }
    SSL_CTX_free(ssl);
    cgateway_tls_context_free(context);
    return NULL;
}
