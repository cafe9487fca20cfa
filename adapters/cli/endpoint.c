/* Parsing and binding of listening addresses. No ZeroMQ here: roles take the descriptors over. */
#include "adapters/cli/endpoint.h"

#include "adapters/cli/arguments.h"
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, PORT_MAX = 65535, HOST_SIZE = 64 };

static bool set_address(endpoint_t *endpoint, const char *host, bool bracketed, uint16_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&endpoint->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&endpoint->address;
    if (strcmp(host, "localhost") == 0 && !bracketed) {
        host = "127.0.0.1";
    }
    if (!bracketed && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        endpoint->address_size = sizeof *four;
        endpoint->is_loopback = ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
        return true;
    }
    if (bracketed && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        endpoint->address_size = sizeof *six;
        endpoint->is_loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
        return true;
    }
    return false;
}

static result_t parse_host_and_port(const char *text, endpoint_t *endpoint)
{
    char host[HOST_SIZE];
    uint64_t port = 0;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !arguments_number(colon + 1, &port) || port > PORT_MAX) {
        return RESULT_INVALID_ARGUMENT;
    }
    const bool bracketed = text[0] == '[';
    const char *from = bracketed ? text + 1 : text;
    const char *end = bracketed ? colon - 1 : colon;
    if (end <= from || (bracketed && *end != ']') || (size_t)(end - from) >= sizeof host) {
        return RESULT_INVALID_ARGUMENT;
    }
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    return set_address(endpoint, host, bracketed, (uint16_t)port) ? RESULT_OK
                                                                  : RESULT_INVALID_ARGUMENT;
}

result_t endpoint_parse_http(const char *text, endpoint_t *endpoint)
{
    *endpoint = (endpoint_t){.descriptor = -1};
    return parse_host_and_port(text, endpoint);
}

static result_t parse_ipc(const char *path, endpoint_t *endpoint)
{
    char absolute[PATH_MAX * 2];
    char current[PATH_MAX];
    endpoint->is_ipc = true;
    endpoint->is_loopback = true;
    if (*path == '\0' || *path == '@' || strlen(path) >= PATH_MAX) {
        return RESULT_INVALID_ARGUMENT; /* abstract sockets have no mode: anybody could connect */
    }
    const char *prefix = "";
    if (*path != '/') { /* roles run in another directory */
        if (getcwd(current, sizeof current) == NULL) {
            return RESULT_INVALID_ARGUMENT;
        }
        prefix = current;
    }
    const int size =
        snprintf(absolute, sizeof absolute, "%s%s%s", prefix, *path == '/' ? "" : "/", path);
    if (size > LIMIT_IPC_PATH_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    (void)snprintf(endpoint->text, sizeof endpoint->text, "ipc://%.*s", LIMIT_IPC_PATH_SIZE,
                   absolute);
    return RESULT_OK;
}

result_t endpoint_parse_zmq(const char *text, endpoint_t *endpoint)
{
    *endpoint = (endpoint_t){.descriptor = -1};
    if (strncmp(text, "ipc://", 6) == 0) {
        return parse_ipc(text + 6, endpoint);
    }
    if (strncmp(text, "tcp://", 6) != 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    const result_t result = parse_host_and_port(text + 6, endpoint);
    if (result == RESULT_OK && !endpoint->is_loopback) {
        return RESULT_PERMISSION_DENIED;
    }
    return result;
}

static void write_text(endpoint_t *endpoint)
{
    char host[INET6_ADDRSTRLEN];
    if (endpoint->address.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&endpoint->address;
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        (void)snprintf(endpoint->text, sizeof endpoint->text, "tcp://%s:%u", host,
                       ntohs(four->sin_port));
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&endpoint->address;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        (void)snprintf(endpoint->text, sizeof endpoint->text, "tcp://[%s]:%u", host,
                       ntohs(six->sin6_port));
    }
}

static result_t check_ipc_is_free(const endpoint_t *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint->text + 6);
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return RESULT_IO;
    }
    const bool answered = connect(probe, (const struct sockaddr *)&address, sizeof address) == 0;
    (void)close(probe);
    return answered ? RESULT_ADDRESS_IN_USE : RESULT_OK;
}

static result_t result_of_bind(int number)
{
    switch (number) {
    case EADDRINUSE:
        return RESULT_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return RESULT_PERMISSION_DENIED;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return RESULT_INVALID_ARGUMENT;
    default:
        return RESULT_IO;
    }
}

result_t endpoint_bind(endpoint_t *endpoint)
{
    if (endpoint->is_ipc) {
        return check_ipc_is_free(endpoint);
    }
    const int on = 1;
    const int family = endpoint->address.ss_family;
    struct sockaddr *address = (struct sockaddr *)&endpoint->address;
    const int bound = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bound < 0) {
        return result_of_bind(errno);
    }
    (void)setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) {
        (void)setsockopt(bound, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(bound, address, endpoint->address_size) != 0 || listen(bound, BACKLOG) != 0 ||
        getsockname(bound, address, &endpoint->address_size) != 0) {
        const result_t result = result_of_bind(errno);
        (void)close(bound);
        return result;
    }
    endpoint->descriptor = bound;
    write_text(endpoint);
    return RESULT_OK;
}

void endpoint_close(endpoint_t *endpoint)
{
    if (endpoint->descriptor >= 0) {
        (void)close(endpoint->descriptor);
        endpoint->descriptor = -1;
    }
}
