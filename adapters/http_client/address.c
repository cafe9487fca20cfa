/* Which addresses are public. Sources: IANA's special-purpose registries of IPv4 (RFC 6890) and
 * IPv6; of IPv6 only global unicast (2000::/3) is let through, less what embeds other addresses. */
#include "adapters/http_client/http_client_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

typedef struct block {
    uint32_t first;
    uint32_t bits;
} block_t;

#define IPV4(a, b, c, d)                                                                           \
    (((uint32_t)(a) << 24U) | ((uint32_t)(b) << 16U) | ((uint32_t)(c) << 8U) | (uint32_t)(d))

static const block_t not_public[] = {
    {IPV4(0, 0, 0, 0), 8},       /* "this network"; 0.0.0.0 reaches loopback on Linux */
    {IPV4(10, 0, 0, 0), 8},      /* private */
    {IPV4(100, 64, 0, 0), 10},   /* shared by carriers */
    {IPV4(127, 0, 0, 0), 8},     /* loopback */
    {IPV4(169, 254, 0, 0), 16},  /* link-local: metadata services of clouds */
    {IPV4(172, 16, 0, 0), 12},   /* private */
    {IPV4(192, 0, 0, 0), 24},    /* protocol assignments */
    {IPV4(192, 0, 2, 0), 24},    /* documentation */
    {IPV4(192, 88, 99, 0), 24},  /* 6to4 relays, withdrawn */
    {IPV4(192, 168, 0, 0), 16},  /* private */
    {IPV4(198, 18, 0, 0), 15},   /* benchmarks */
    {IPV4(198, 51, 100, 0), 24}, /* documentation */
    {IPV4(203, 0, 113, 0), 24},  /* documentation */
    {IPV4(224, 0, 0, 0), 3},     /* multicast, reserved, broadcast */
};

static bool ipv4_is_public(uint32_t address)
{
    for (size_t i = 0; i < sizeof not_public / sizeof not_public[0]; i++) {
        const uint32_t mask = UINT32_MAX << (32U - not_public[i].bits);
        if ((address & mask) == not_public[i].first) {
            return false;
        }
    }
    return true;
}

static bool ipv6_is_public(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        return ipv4_is_public(IPV4(bytes[12], bytes[13], bytes[14], bytes[15]));
    }
    if ((bytes[0] & 0xe0U) != 0x20) {
        return false;
    }
    const bool is_2001 = bytes[0] == 0x20 && bytes[1] == 0x01;
    const bool is_special = is_2001 && bytes[2] < 0x02; /* 2001::/23: Teredo, ORCHID, benchmarks */
    const bool is_documentation = is_2001 && bytes[2] == 0x0d && bytes[3] == 0xb8;
    const bool is_6to4 = bytes[0] == 0x20 && bytes[1] == 0x02;
    const bool is_documentation_too = bytes[0] == 0x3f && bytes[1] == 0xff && bytes[2] < 0x10;
    return !is_special && !is_documentation && !is_6to4 && !is_documentation_too;
}

bool http_address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        return ipv4_is_public(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        return ipv6_is_public(six.sin6_addr.s6_addr);
    }
    return false;
}
