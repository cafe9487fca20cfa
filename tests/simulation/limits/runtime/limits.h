/* The bounds of the product, made small: the simulator compiles the product with this file in front
 * of runtime/limits.h, so that a few dozen cards and requests reach what takes thousands in
 * production (passivation, full mailboxes, full batches, closed tenants, dropped cache entries).
 * Must not change a bound that only times or sizes a message. */
#ifndef TESTS_SIMULATION_LIMITS_H
#define TESTS_SIMULATION_LIMITS_H

#include_next "runtime/limits.h"

#define LIMIT_REQUESTS_IN_FLIGHT 48
#define LIMIT_REQUESTS_SENT 24
#define LIMIT_REQUESTS_WAITING 16
#define LIMIT_WAITING_RESERVED 4
#define LIMIT_PAGES_IN_FLIGHT 6
#define LIMIT_RELAY_TENANT_CREDITS 4
#define LIMIT_SHARD_REQUESTS 24
#define LIMIT_FRONT_CREDITS 12
#define LIMIT_TENANT_CREDITS 8
#define LIMIT_TENANT_WAITING 8
#define LIMIT_MAILBOX_MESSAGES 12
#define LIMIT_ACTORS_ACTIVE 12
#define LIMIT_ACTOR_TURN_MESSAGES 3
#define LIMIT_SCHEDULER_TURN_MESSAGES 8
#define LIMIT_SCHEDULER_TURN_US 150
#define LIMIT_TENANT_TURN_COST 4
#define LIMIT_TENANT_DEBT 16
#define LIMIT_LOADS_IN_FLIGHT 8
#define LIMIT_KEYS_IN_FLIGHT 16
#define LIMIT_MEMBER_KEYS_CACHED 4
#define LIMIT_SNAPSHOT_INTERVAL_EVENTS 5
#define LIMIT_PASSIVATION_TAIL_EVENTS 2
#define LIMIT_PASSIVATION_SNAPSHOTS 2
#define LIMIT_DRAIN_SNAPSHOTS 4
#define LIMIT_BATCH_EVENTS 8
#define LIMIT_BATCH_REQUESTS 6
#define LIMIT_BATCH_WAITING 24
#define LIMIT_BATCHES_KEPT 2
#define LIMIT_STORE_FILES_OPEN 2
#define LIMIT_SWEEP_INTERVAL_MS 1500
#define LIMIT_SWEEP_SLICE 3
#define LIMIT_REMINDERS_SLICE 2
#define LIMIT_SUSPENSION_RETRY_MS 1000
#define LIMIT_CLEAN_INTERVAL_MS 2000
#define LIMIT_BATCH_REMINDERS 6
#define LIMIT_SWEEP_ROTATION_MS 4000
#define LIMIT_RELAY_TENANTS 3
/* As in production, a slice of heads needs fewer journals than may be open at once. */
#define LIMIT_RELAY_HEAD_SLICE 1
#define LIMIT_RELAY_HEAD_OPENS 1
#define LIMIT_RELAY_GAP_EVENTS 4
#define LIMIT_PROJECTION_EVENTS 6
#define LIMIT_PROJECTION_STEPS 2
#define LIMIT_PROJECTION_FEED_SIZE 4096
#define LIMIT_PROJECTION_FEEDS_SIZE 8192
#define LIMIT_RELAY_HELD_EVENTS 6

#endif
