/* Ports that the simulated processes hand to the product. */
#ifndef TESTS_SIMULATION_PORTS_H
#define TESTS_SIMULATION_PORTS_H

#include "tests/simulation/process.h"

extern const tokens_functions_t ports_tokens; /* ROLE "." TENANT "." SINCE "." SUBJECT */
/* adapters/signer, but for the nonce of `seal`, which comes from the seed. */
const crypto_functions_t *ports_crypto(void);
crypto_key_t ports_master_key(void);
int64_t ports_wall_ms(void);
void ports_random_fill(void *out, size_t size);
result_t ports_front_send(void *context, gateway_target_t target, uint32_t index,
                          const uint8_t *envelope, size_t size);
/* A shard came up: what a planted bug has kept goes there. */
void ports_front_peer_up(process_t *process, uint32_t slot);
void ports_shard_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
void ports_shard_publish(void *context, const uint8_t *envelope, size_t size);
void ports_shard_to_adapters(void *context, const uint8_t *envelope, size_t size);
/* Also of a process that has ended: ids are never used twice. */
bool ports_is_adapters(world_t *world, uint32_t process);
result_t ports_adapters_send(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
void ports_breaker_changed(void *context, const neighbour_t *neighbour, const char *reason);
uint32_t ports_random_below(uint32_t below);
uint64_t ports_monotonic_us(void);
void ports_relay_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size);
result_t ports_relay_publish(void *context, text_t topic, const uint8_t *header, size_t header_size,
                             const uint8_t *body, size_t body_size);

#endif
