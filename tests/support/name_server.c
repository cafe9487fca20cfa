/* A preloaded library that sends every look-up of a name to the name server at 127.0.0.1 and the
 * port in NAME_SERVER_PORT, and connections to the public address 9.9.9.9 to 127.0.0.1 and the port
 * in PUBLIC_PORT: so a test has a name server of its own, and a "public" receiver, without touching
 * what the machine uses. Everything else is the C library's, its resolver included. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static in_port_t port_of(const char *variable)
{
    const char *const text = getenv(variable);
    return htons(text == NULL ? 1 : (uint16_t)strtoul(text, NULL, 10));
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    (void)res_init(); /* the state is this thread's, and the resolver keeps what is changed in it */
    _res.nscount = 1;
    _res.nsaddr_list[0] = (struct sockaddr_in){.sin_family = AF_INET,
                                               .sin_port = port_of("NAME_SERVER_PORT"),
                                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return next(node, service, hints, result);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t size)
{
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in four;
    if (address->sa_family == AF_INET && size >= sizeof four) {
        memcpy(&four, address, sizeof four);
        if (four.sin_addr.s_addr == htonl(0x09090909)) {
            four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            four.sin_port = port_of("PUBLIC_PORT");
            return next(descriptor, (const struct sockaddr *)&four, sizeof four);
        }
    }
    return next(descriptor, address, size);
}
