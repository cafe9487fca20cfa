/* A TCP port for a server of a test. */
#ifndef TESTS_SUPPORT_FREE_PORT_H
#define TESTS_SUPPORT_FREE_PORT_H

#include <stdint.h>

/* A port of the loopback that nobody uses now, host byte order, from 10000 to 31999: below the
 * ports that the kernel gives to outgoing connections (32768 and up), so that a server that was
 * killed finds its port free when it starts again. Aborts when there is none. */
uint16_t free_port(void);

#endif
