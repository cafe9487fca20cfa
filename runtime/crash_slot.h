/* Memory shared by the supervisor and one role, which survives the role: before a handler works on
 * a command it writes down which, and clears that when it returns, so that the supervisor can name
 * the command that killed the role. Back goes the order to set a command aside that did so twice.
 *
 * Writing costs some plain stores (no system call, no hash): the processes never run at the same
 * time with respect to one slot, so only the compiler's order counts. What is read is what a role
 * wrote that may have written wild: every size is checked. It lives in memory only, never in a
 * file: requests name people. */
#ifndef RUNTIME_CRASH_SLOT_H
#define RUNTIME_CRASH_SLOT_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CRASH_FINGERPRINT_SIZE = 16,
    CRASH_ID_SIZE = 16,
    CRASH_TRACE_SIZE = 64, /* a traceparent has 55 */
    CRASH_REASON_SIZE = 64,
};

/* What makes a command the same command when it comes again. */
typedef struct crash_identity {
    const char *tenant;
    size_t tenant_size;
    const uint8_t *card; /* CRASH_ID_SIZE, as the request names it; NULL: it names none */
    uint8_t type;
    bool is_key; /* `text` is its idempotency key, else its body */
    const void *text;
    size_t text_size;
} crash_identity_t;

/* Truncated SHA-256: nobody can make a command that is taken for another one. */
void crash_fingerprint(const crash_identity_t *identity, uint8_t out[CRASH_FINGERPRINT_SIZE]);
/* The same of an actor: no command has it. */
void crash_actor_fingerprint(const char *tenant, size_t tenant_size,
                             const uint8_t actor[CRASH_ID_SIZE],
                             uint8_t out[CRASH_FINGERPRINT_SIZE]);

/* What the role did with the command, for whoever has to say whose fault its death was. */
typedef enum crash_stage {
    CRASH_STAGE_COMMAND = 0,    /* it was read; no actor was concerned yet */
    CRASH_STAGE_HANDLER = 1,    /* the actor worked on it */
    CRASH_STAGE_ACTIVATION = 2, /* the actor was built from what is stored of it */
} crash_stage_t;

/* What a handler begins to work on. Everything is borrowed for the call. */
typedef struct crash_command {
    crash_identity_t identity; /* its text lies within `request`; of an internal one its tenant */
    crash_stage_t stage;
    bool is_internal;     /* from within the role: a timer, a sweep. Nobody can refuse it */
    const uint8_t *actor; /* CRASH_ID_SIZE: whose handler */
    const char *trace;
    size_t trace_size;
    const void *request; /* as it came, to be stored and run again */
    size_t request_size;
} crash_command_t;

typedef struct crash_record {
    uint32_t request_size;    /* beyond LIMIT_CRASH_REQUEST_SIZE only the fingerprint is kept */
    uint32_t identity_offset; /* within request */
    uint32_t identity_size;
    uint8_t type;
    uint8_t tenant_size;
    uint8_t trace_size;
    uint8_t has_card; /* 0 or 1; no bool, since it may have been written wild */
    uint8_t is_key;
    uint8_t has_fingerprint;
    uint8_t stage; /* crash_stage_t */
    uint8_t is_internal;
    uint8_t card[CRASH_ID_SIZE];
    uint8_t actor[CRASH_ID_SIZE];
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    char tenant[LIMIT_TENANT_NAME_SIZE + 1];
    char trace[CRASH_TRACE_SIZE];
    uint8_t request[LIMIT_CRASH_REQUEST_SIZE];
} crash_record_t;

/* A command, or all commands of its actor, that are to be set aside before the role takes traffic
 * again. */
typedef struct crash_order {
    uint32_t kills;
    uint8_t is_actor;               /* then the record's fingerprint is that of its actor */
    char reason[CRASH_REASON_SIZE]; /* "killed by SIGSEGV" */
    crash_record_t record;
} crash_order_t;

typedef struct crash_slot crash_slot_t; /* crash_slot.c */

/* --- The role's side; a NULL slot is left alone --- */

void crash_slot_enter(crash_slot_t *slot, const crash_command_t *command);
void crash_slot_leave(crash_slot_t *slot);
/* Around a call that waits for somebody else, such as a database: the command in work is not to
 * blame for that. Whether one was, for the end of it. */
MUST_USE bool crash_slot_pause(crash_slot_t *slot);
void crash_slot_resume(crash_slot_t *slot, bool was_in_work);
/* The order, or NULL. It stays until crash_slot_order_done, also over the death of the role. */
const crash_order_t *crash_slot_order(const crash_slot_t *slot);
void crash_slot_order_done(crash_slot_t *slot);

/* What is stored of an actor while it is being read, on whatever thread of the role. Nothing is
 * written anywhere until a fatal signal comes: all of it stays borrowed until crash_reading_end. */
typedef struct crash_reading {
    const char *tenant;
    size_t tenant_size;
    const uint8_t *actor; /* CRASH_ID_SIZE */
} crash_reading_t;

/* What kills the calling thread from now on is that actor's fault, whatever was asked of it; not
 * nested. In platform_crash_slot.c, as the handler of signals. */
void crash_reading_begin(const crash_reading_t *reading);
void crash_reading_end(void);
/* From another thread of the role, which ends it because `command` (crash_slot_is_in_work) does not
 * get done. */
void crash_slot_note_hang(crash_slot_t *slot, uint32_t command);

/* --- The supervisor's side --- */

/* Also while the role lives, and from its other threads: whether it works on a command, and a
 * number that is another one for the next. Two looks with the same answer saw the same command, or
 * 2^32 of them. */
bool crash_slot_is_in_work(const crash_slot_t *slot, uint32_t *command);

/* The rest only while no process of the role lives. */

typedef enum crash_origin {
    CRASH_ORIGIN_UNKNOWN, /* the signal could not be looked at: SIGKILL, or no stack was left */
    CRASH_ORIGIN_HANDLER, /* the thread that runs handlers */
    CRASH_ORIGIN_READING, /* a thread that read what is stored of the record's actor */
    CRASH_ORIGIN_OTHER,   /* another thread of the role: not the command's fault */
    CRASH_ORIGIN_OUTSIDE, /* somebody sent the signal */
    CRASH_ORIGIN_HANG,    /* the role ended itself: the command took LIMIT_HANDLER_LOOP_MS */
} crash_origin_t;

/* For a role that is about to start: it works on nothing. An order stays. */
void crash_slot_clear(crash_slot_t *slot);
/* Copies what the role worked on, or which actor it read when that killed it; false: on nothing.
 * `record` has its fingerprint. */
bool crash_slot_read(const crash_slot_t *slot, crash_record_t *record, crash_origin_t *origin);
void crash_slot_give_order(crash_slot_t *slot, const crash_record_t *record, uint32_t kills,
                           const char *reason);
/* The same for all commands of the record's actor. */
void crash_slot_give_actor_order(crash_slot_t *slot, const crash_record_t *record, uint32_t kills,
                                 const char *reason);

/* --- platform_crash_slot.c --- */

/* Makes one; `*descriptor` is handed to the role. UNAVAILABLE. */
MUST_USE result_t crash_slot_create(crash_slot_t **slot, int *descriptor);
void crash_slot_destroy(crash_slot_t **slot, int *descriptor);
/* Maps the slot of a descriptor that a role inherited, for the calling thread as the one that runs
 * handlers, and notes the origin of fatal signals in it from then on. Until the process ends. NULL:
 * it is no slot of this version. */
crash_slot_t *crash_slot_attach(int descriptor);

#endif
