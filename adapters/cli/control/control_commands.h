/* Commands that change or read control data: one function, run by the control role of a running
 * service or, while none runs, by the command line itself under DIR/lock.
 *
 *   {"command":"tenant.create","name":…,"partitions":1…64}   →
 * {"tenant":{name,partitions,created_at,keys}}
 *   {"command":"tenant.list"}                                →
 * {"tenants":[{name,partitions,created_at}]}
 *   {"command":"tenant.show","name":…}                       → {"tenant":{…}}
 *   {"command":"tenant.delete","name":…}                     → {"deleted":name,"kept_as":path}
 *   {"command":"token.mint","tenant"?:…,"role":…,"subject":…,"ttl_s":…} → {"token":…}
 *   {"command":"token.revoke","token":…}                     →
 * {"revoked":{subject,tenant,role,expires_at}}
 *   {"command":"key.list","tenant":…}                        →
 * {"tenant":…,"keys":[{kid,state,created_at}]}
 *   {"command":"key.rotate","tenant":…}                      → {"tenant":…,"kid":…}
 *   {"command":"key.retire"|"key.compromise","tenant":…,"kid":…} → {"tenant":…,"kid":…,"state":…}
 *   {"command":"tenant.sealed","name":…} → {"tenant":{name,partitions,created_at,sealed_secret,
 *     keys:[{kid,state,created_at,sealed}]},"is_postgres":bool}, secrets sealed as they are stored,
 *     in hexadecimal
 *   {"command":"tenant.adopt", and what tenant.sealed answers}    → {"tenant":{…}}
 *   {"command":"store.schema"}                               → {"schemas":{store:version}}
 *   {"command":"deadletters.list","tenant"?:…}               →
 * {"dead_letters":[{id,state,tenant,type,card,kills,stored_at,reason,trace_id,…}]}
 *   {"command":"deadletters.show","id":…}                    → {"dead_letter":{…,"body":{…}}}
 *   {"command":"deadletters.replay"|"deadletters.drop","id":…} → {"id":…,"state":…}
 *   {"command":"flag.list","tenant"?:…}                      →
 * {"known":[{name,about}],"flags":[{tenant,name,percent,changed_at,known}]}
 *   {"command":"flag.set","tenant":…,"name":…,"percent":0…100} → {"tenant":…,"name":…,"percent":…}
 *   {"command":"flag.unset","tenant":…,"name":…}             → the same with "percent":null
 *   {"command":"webhook.list","tenant"?:…}                   →
 * {"webhooks":[{tenant,name,url,state,reason?,created_at,previous_secret_until?,replay?}]}
 *   {"command":"webhook.add","tenant":…,"name":…,"url":…}    → {"tenant",name,url,secret}
 *   {"command":"webhook.rotate","tenant":…,"name":…,"overlap_s":…} →
 * {tenant,name,secret,previous_secret_until}
 *   {"command":"webhook.remove"|"webhook.enable","tenant":…,"name":…} → {tenant,name}
 *   {"command":"webhook.replay","tenant":…,"name":…,"partition":…,"from":…,"to":…} → the same
 *   {"command":"webhook.log","tenant":…,"name":…,"limit":…}  →
 * {"deliveries":[{partition,sequence,event,card,attempts,first_at,last_at,status,state,detail}]}
 * A failure is {"error":{code,detail}}. */
#ifndef ADAPTERS_CLI_CONTROL_COMMANDS_H
#define ADAPTERS_CLI_CONTROL_COMMANDS_H

#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/dead_letters.h"
#include "actors/ports/flags.h"
#include "actors/ports/revocations.h"
#include "actors/ports/webhooks.h"
#include <jansson.h>

typedef struct control_commands {
    control_store_t *control;
    bool is_postgres;             /* which store that is; tenant.sealed says so */
    dead_letters_t *dead_letters; /* NULL: those commands are refused */
    flags_t *flags;               /* NULL: the same */
    revocations_t *revocations;   /* NULL: the same */
    webhooks_t *webhooks;         /* NULL: the same */
    const crypto_functions_t *crypto;
    const crypto_key_t *master_key;
} control_commands_t;

/* Never NULL; the caller releases it. `changed` is set when the store was written. Blocks for some
 * milliseconds. */
json_t *control_command_execute(const control_commands_t *commands, const json_t *command,
                                bool *changed);

/* Makes the first token key when there is none. STORE_CORRUPT: the newest one does not open with
 * this master key. */
MUST_USE result_t control_token_key_ensure(const control_commands_t *commands);

/* The versions that this program knows, one per adapter: {"journal_sqlite":1,…} */
json_t *control_schemas(void);

/* {"error":{code,detail}} */
json_t *control_error(result_t why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
