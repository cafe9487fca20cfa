/* See bad_server.h. One thread per connection; stopping closes all of them. */
#include "tests/support/bad_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, REQUEST_SIZE = 65536, HUGE_SIZE = 100 << 20 };

typedef struct visitor {
    bad_server_t *server;
    int descriptor;
    SSL *tls;
    pthread_t thread;
} visitor_t;

struct bad_server {
    int listener;
    int port;
    SSL_CTX *tls;
    pthread_t acceptor;
    atomic_bool is_stopping;
    atomic_uint connections;
    visitor_t visitors[CONNECTIONS_MAX];
};

/* --- Bytes --- */

static bool put(const visitor_t *visitor, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t put = visitor->tls != NULL
                                ? SSL_write(visitor->tls, data, (int)size)
                                : send(visitor->descriptor, data, size, MSG_NOSIGNAL);
        if (put <= 0) {
            return false;
        }
        data += put;
        size -= (size_t)put;
    }
    return true;
}

static bool say(const visitor_t *visitor, const char *text)
{
    return put(visitor, text, strlen(text));
}

/* False when the client went or the server stops; true after `timeout_ms` of neither. */
static bool idle(const visitor_t *visitor, int timeout_ms)
{
    struct pollfd waiting = {.fd = visitor->descriptor, .events = POLLIN};
    for (int waited = 0; waited < timeout_ms && !visitor->server->is_stopping; waited += 10) {
        if (poll(&waiting, 1, 10) != 0) {
            return false;
        }
    }
    return !visitor->server->is_stopping;
}

/* Reads head and body of one request; 0: there is none. */
static size_t read_request(const visitor_t *visitor, char *request)
{
    size_t size = 0;
    while (size < REQUEST_SIZE - 1) {
        const ssize_t got =
            visitor->tls != NULL
                ? SSL_read(visitor->tls, request + size, (int)(REQUEST_SIZE - 1 - size))
                : recv(visitor->descriptor, request + size, REQUEST_SIZE - 1 - size, 0);
        if (got <= 0) {
            return 0;
        }
        size += (size_t)got;
        request[size] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        if (end == NULL) {
            continue;
        }
        const char *length = strcasestr(request, "\r\nContent-Length: ");
        const size_t body = length == NULL ? 0 : strtoul(length + 18, NULL, 10);
        if (size >= (size_t)(end + 4 - request) + body) {
            return size;
        }
    }
    return 0;
}

/* --- Behaviours: false closes the connection --- */

static bool answer_status(const visitor_t *visitor, const char *path)
{
    char answer[256];
    const unsigned long status = strtoul(path + strlen("/status/"), NULL, 10);
    const char *more = status / 100 == 3 ? "Location: /ok\r\n" : "";
    more = status == 503 ? "Retry-After: 7\r\n" : more;
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 %lu Said\r\nContent-Length: 3\r\n%s\r\n%03lu",
                   status, more, status);
    return say(visitor, answer);
}

static bool answer_echo(const visitor_t *visitor, const char *request, size_t size)
{
    const char *body = strstr(request, "\r\n\r\n") + 4;
    const size_t body_size = size - (size_t)(body - request);
    const char *header = strstr(request, "X-Echo: ");
    const int header_size = header == NULL ? 0 : (int)strcspn(header, "\r");
    char head[512];
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s|%.4s|",
                   body_size + (size_t)header_size + 6, header_size, header == NULL ? "" : header,
                   request);
    return say(visitor, head) && put(visitor, body, body_size);
}

static bool answer_huge(const visitor_t *visitor)
{
    static char block[65536];
    char head[128];
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    bool goes_on = say(visitor, head);
    for (size_t sent = 0; goes_on && sent < HUGE_SIZE; sent += sizeof block) {
        goes_on =
            say(visitor, "10000\r\n") && put(visitor, block, sizeof block) && say(visitor, "\r\n");
    }
    return goes_on && say(visitor, "0\r\n\r\n");
}

static bool answer_endless(const visitor_t *visitor)
{
    bool goes_on = say(visitor, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; goes_on && i < 1000000; i++) {
        goes_on = say(visitor, "X-Again: and again and again and again and again\r\n");
    }
    return false;
}

static bool answer_drip(const visitor_t *visitor)
{
    bool goes_on = say(visitor, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; goes_on && i < 1000; i++) {
        goes_on = idle(visitor, 1000) && say(visitor, "x");
    }
    return false;
}

static bool answer_half(const visitor_t *visitor)
{
    (void)say(visitor, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    return false;
}

static bool starts(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static bool answer(const visitor_t *visitor, const char *request, size_t size)
{
    const char *path = strchr(request, ' ');
    assert(path != NULL);
    path++;
    if (starts(path, "/status/")) {
        return answer_status(visitor, path);
    }
    if (starts(path, "/echo")) {
        return answer_echo(visitor, request, size);
    }
    if (starts(path, "/garbage")) {
        (void)say(visitor, "\x01\x02 this is no HTTP at all\r\n\r\n");
        return false;
    }
    if (starts(path, "/huge")) {
        return answer_huge(visitor);
    }
    if (starts(path, "/endless")) {
        return answer_endless(visitor);
    }
    if (starts(path, "/drip")) {
        return answer_drip(visitor);
    }
    if (starts(path, "/never")) {
        (void)idle(visitor, 60000);
        return false;
    }
    if (starts(path, "/half")) {
        return answer_half(visitor);
    }
    if (starts(path, "/slam")) {
        return false;
    }
    return say(visitor, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
                        "Content-Length: 11\r\n\r\n{\"ok\":true}");
}

static void *serve(void *context)
{
    visitor_t *visitor = context;
    char *request = malloc(REQUEST_SIZE);
    bool goes_on = request != NULL;
    if (goes_on && visitor->server->tls != NULL) {
        visitor->tls = SSL_new(visitor->server->tls);
        (void)SSL_set_fd(visitor->tls, visitor->descriptor);
        goes_on = SSL_accept(visitor->tls) == 1;
    }
    while (goes_on) {
        const size_t size = read_request(visitor, request);
        goes_on = size > 0 && answer(visitor, request, size);
    }
    SSL_free(visitor->tls);
    (void)shutdown(visitor->descriptor, SHUT_RDWR);
    free(request);
    return NULL;
}

static void *accept_all(void *context)
{
    bad_server_t *server = context;
    while (!server->is_stopping && server->connections < CONNECTIONS_MAX) {
        const int descriptor = accept(server->listener, NULL, NULL);
        if (descriptor < 0) {
            continue;
        }
        visitor_t *visitor = &server->visitors[server->connections];
        visitor->server = server;
        visitor->descriptor = descriptor;
        const int status = pthread_create(&visitor->thread, NULL, serve, visitor);
        assert(status == 0);
        server->connections++;
    }
    return NULL;
}

/* --- The certificate --- */

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    (void)X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                     -1, -1, 0);
    (void)X509_set_issuer_name(certificate, name);
    const int signature = X509_sign(certificate, key, EVP_sha256());
    assert(signature > 0);
    return certificate;
}

static SSL_CTX *make_tls(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    const bool is_used =
        SSL_CTX_use_certificate(tls, certificate) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1;
    assert(is_used);
    FILE *file = fopen(path, "w");
    assert(file != NULL);
    (void)PEM_write_X509(file, certificate);
    (void)fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

/* --- Begin and end --- */

bad_server_t *bad_server_start(const char *certificate)
{
    bad_server_t *server = calloc(1, sizeof *server);
    assert(server != NULL);
    server->tls = certificate == NULL ? NULL : make_tls(certificate);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int status = bind(server->listener, (struct sockaddr *)&address, sizeof address);
    assert(status == 0);
    status = listen(server->listener, 64);
    assert(status == 0);
    (void)getsockname(server->listener, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    status = pthread_create(&server->acceptor, NULL, accept_all, server);
    assert(status == 0);
    return server;
}

void bad_server_stop(bad_server_t **server)
{
    bad_server_t *stopped = *server;
    *server = NULL;
    stopped->is_stopping = true;
    (void)shutdown(stopped->listener, SHUT_RDWR);
    (void)pthread_join(stopped->acceptor, NULL);
    (void)close(stopped->listener);
    for (uint32_t i = 0; i < stopped->connections; i++) {
        (void)shutdown(stopped->visitors[i].descriptor, SHUT_RDWR);
        (void)pthread_join(stopped->visitors[i].thread, NULL);
        (void)close(stopped->visitors[i].descriptor);
    }
    SSL_CTX_free(stopped->tls);
    free(stopped);
}

int bad_server_port(const bad_server_t *server)
{
    return server->port;
}

uint32_t bad_server_connections(const bad_server_t *server)
{
    return server->connections;
}
