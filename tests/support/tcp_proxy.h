/* A TCP proxy on loopback that can keep an answer from its client: what went in was done, and
 * nobody was told. It can also make connecting slow. One thread. */
#ifndef TESTS_SUPPORT_TCP_PROXY_H
#define TESTS_SUPPORT_TCP_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

typedef struct tcp_proxy {
    uint16_t port; /* where it listens */
    uint16_t server_port;
    int listener;
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_bool swallows;
    atomic_uint swallowed; /* answers */
    atomic_uint delay_ms;  /* before a connection goes on to the server */
} tcp_proxy_t;

void tcp_proxy_start(tcp_proxy_t *proxy, uint16_t server_port);
/* The next answer of the server is dropped, and its connection is cut on the client's side. */
void tcp_proxy_swallow_next_answer(tcp_proxy_t *proxy);
unsigned tcp_proxy_swallowed(tcp_proxy_t *proxy);
void tcp_proxy_stop(tcp_proxy_t *proxy);

#endif
