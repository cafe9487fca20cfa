/* Every bound of the service, each with its reason (DESIGN invariant 11). A number that limits
 * memory, descriptors, queues or time stands here and nowhere else. Sizes are bytes unless the name
 * says more. */
#ifndef RUNTIME_LIMITS_H
#define RUNTIME_LIMITS_H

enum {
    /* --- Names --- */
    LIMIT_TENANT_NAME_SIZE = 39, /* DESIGN 3.2: [a-z][a-z0-9-]{1,38} */
    LIMIT_PARTITIONS = 64,       /* six bits of a card id (DESIGN 2.3) */
    LIMIT_SHARDS = 32,           /* one per core; nobody has asked for more cores */
    LIMIT_ROLES = 64,            /* shards and the others with room */
    LIMIT_IPC_PATH_SIZE = 107,   /* sun_path less its NUL; ZeroMQ refuses longer ones */
    LIMIT_ROLE_NAME_SIZE = 32,   /* "adapters-12" and room for words of a test */

    /* --- Host names --- */
    LIMIT_NAME_ADDRESSES = 8,      /* of one host that are tried; few have more than three */
    LIMIT_NAME_FRESH_MS = 1000,    /* a look-up is not repeated sooner, whoever reconnects */
    LIMIT_NAME_FOLLOW_MS = 10000,  /* how soon a standing connection follows a name elsewhere */
    LIMIT_NAME_WAIT_MS = 1000,     /* an answer is waited for; name servers take milliseconds */
    LIMIT_NAME_WAIT_AGAIN_MS = 50, /* the same when the last one failed: the control store is asked
                                      on loops, which do other work in between */

    /* --- Codes --- */
    LIMIT_QRCODE_TEXT_SIZE = 1024,       /* as long as a scanned text may be; ours has 66 bytes */
    LIMIT_QRCODE_PIXELS_PER_MODULE = 32, /* prints our code at 300 dpi 11 cm wide */
    LIMIT_QRCODE_SIDE_PIXELS = 2048,     /* 4 MiB while a PNG is written; ours has 1,312 at most */

    /* --- HTTP --- */
    LIMIT_HTTP_CONNECTIONS = 4096,  /* per front; 16 KiB each idle makes 64 MiB at worst */
    LIMIT_HTTP_HEAD_SIZE = 16384,   /* request line and header block; a token takes 1 KiB */
    LIMIT_HTTP_HEADERS = 64,        /* fields of one request */
    LIMIT_HTTP_URI_SIZE = 4096,     /* the longest of ours is under 1 KiB */
    LIMIT_HTTP_BODY_SIZE = 1048576, /* DESIGN 3.3 */
    LIMIT_HTTP_PIPELINE = 32, /* requests in flight on one connection; reading pauses beyond */
    LIMIT_HTTP_WRITE_QUEUE_SIZE = 1048576, /* unsent bytes per connection; reading pauses beyond */
    LIMIT_HTTP_HEAD_TIMEOUT_MS = 10000,    /* first byte to end of the head (slow loris) */
    LIMIT_HTTP_BODY_TIMEOUT_MS = 30000,    /* end of the head to end of the body */
    LIMIT_HTTP_IDLE_TIMEOUT_MS = 60000,    /* between requests */
    LIMIT_HTTP_IDLE_YIELDS_MS = 2000,      /* then it makes room for others: longer than a
                                              client takes from an answer to what follows */
    LIMIT_HTTP_WRITE_TIMEOUT_MS = 30000,   /* a client that does not read its answers is closed */
    LIMIT_HTTP_LINGER_MS = 2000,      /* after the last answer, so that it is read before a reset */
    LIMIT_HTTP_LINGER_SIZE = 4194304, /* bytes thrown away meanwhile; then closed at once */
    LIMIT_HTTP_DRAIN_PARTIAL_MS = 2000,    /* half a request may still be completed on drain */
    LIMIT_HTTP_HAND_OVER_IDLE_MS = 3000,   /* an idle connection may still ask the old front, and is
                                              told to close; nobody waits for that time to pass */
    LIMIT_HTTP_TICK_MS = 250,              /* how often timeouts are looked at; all are >= 2 s */
    LIMIT_HTTP_DRAIN_IDLE_MS = 200,        /* a request may be on its way on an idle connection */
    LIMIT_HTTP_CONNECTIONS_REFUSED = 64,   /* told 503 at once; beyond that closed unanswered */
    LIMIT_HTTP_CHUNK_EXTENSION_SIZE = 256, /* nobody uses them; read over, not kept */
    LIMIT_HTTP_CHUNK_OVERHEAD_SIZE = 262144, /* framing of one body: chunks of 32 bytes still fit */
    LIMIT_HTTP_LARGE_BODY_SIZE = 16384,      /* ours are below 4 KiB; larger ones count as large */
    LIMIT_HTTP_LARGE_BODIES = 64, /* large ones on their way at a time: 128 MiB; then `busy` */
    LIMIT_HTTP_UNSENT_SIZE = 268435456, /* of all clients; beyond, pages are told `busy` */
    LIMIT_HTTP_READ_SIZE = 65536,       /* the one buffer that idle connections share */
    LIMIT_HTTP_PATH_SEGMENTS = 8,       /* our longest path has seven */
    LIMIT_HTTP_QUERY_PARAMETERS = 16,   /* our longest list has five */
    LIMIT_HTTP_TURN_ROUNDS = 8,         /* batches of pipelined requests per connection and turn */
    LIMIT_HTTP_ARENA_SIZE = 65536,      /* texts of one decoded command: the largest take 2 KiB */
    LIMIT_HTTP_SPARE_BUFFERS = 256,     /* output buffers kept for reuse */
    LIMIT_HTTP_SPARE_BUFFER_SIZE = 16384, /* larger ones are freed */
    LIMIT_HTTP_SPARE_SLOTS = 1024,        /* request slots kept for reuse */
    LIMIT_HTTP_ANSWER_SIZE = 16777216,    /* a page of 1,000 events as JSON and room */
    LIMIT_HTTP_SCRATCH_SIZE = 65536, /* JSON of one answer; grows for pages and shrinks again */

    /* --- Calls to other people's HTTP servers --- */
    LIMIT_HTTP_CALLS = 256,                  /* of one client on their way; then `busy` */
    LIMIT_HTTP_CALLS_KEPT = 32,              /* idle connections of one client, for the next call */
    LIMIT_HTTP_CALL_HEADERS = 16,            /* sent with one call; ours send five */
    LIMIT_HTTP_CALL_URL_SIZE = 4096,         /* as LIMIT_HTTP_URI_SIZE; a header line as well */
    LIMIT_HTTP_CALL_HEAD_SIZE = 65536,       /* header block of an answer, that of a 100 included */
    LIMIT_HTTP_CALL_SENT_SIZE = 1048576,     /* body of a call; an event has 8 KiB at most */
    LIMIT_HTTP_CALL_BODY_SIZE_MAX = 8388608, /* what a caller may ask for: a page of 1,000 events */
    LIMIT_HTTP_CALL_DEADLINE_MS_MAX = 60000, /* as that of a request */

    /* --- Neighbours --- */
    LIMIT_NEIGHBOURS = 49152, /* breakers of (tenant, adapter) at a time, 2 KiB each with adapter:
                                 those that had no failure lately make room for others */
    LIMIT_NEIGHBOUR_QUEUE = 4096,         /* what the setting `queue` may ask for */
    LIMIT_VENDOR_TEXT_SIZE = 4096,        /* one text of a question to a vendor: a message's body */
    LIMIT_VENDOR_DEADLINE_MS = 60000,     /* of a question to a vendor, repeats included */
    LIMIT_MEMBERSHIP_PAGE = 500,          /* events of one page of the replay endpoint */
    LIMIT_MEMBERSHIP_PAGE_SIZE = 1048576, /* bytes of it: 2 KiB per event */
    LIMIT_MEMBERSHIP_FRAME_SIZE = 65536,  /* of a published event: ours read under 1 KiB */
    LIMIT_MEMBERSHIP_HEARD = 1000, /* of one publisher, unread: 64 MiB; more are read later */
    LIMIT_MEMBERSHIP_ANSWERS = 64, /* of one context over ZeroMQ, unread: a page is 1 MiB */
    LIMIT_MEMBERSHIP_ASKED = 1000, /* of one context over ZeroMQ, unsent, 1 KiB each */
    LIMIT_INBOX_EVENTS = 8192,     /* of one tenant taken and not yet applied, 500 bytes each */
    LIMIT_INBOX_AHEAD = 1024,      /* held because of a gap; the rest is read with the gap */
    LIMIT_INBOX_JUMP = 1000000,    /* a context's sequence may leave out: more is a mistake of it */
    LIMIT_INBOX_FIRST = 2000000000, /* sequence at the first contact: a context may have a past */
    LIMIT_INBOX_BEYOND_LOG_MS = 60000, /* how often the log says that a context jumped */
    LIMIT_INBOX_MESSAGE_EVENTS = 128,  /* to one partition at a time: half a batch */
    LIMIT_INBOX_SILENT_EVENTS = 1000,  /* a partition without events is told of the others' */
    LIMIT_INBOX_TRIES = 5,             /* of an event that is refused; then it is a dead letter */
    LIMIT_INBOX_RETRY_MS = 250,        /* before an event that was refused is sent again */
    LIMIT_INBOX_POLL_MS = 5000,        /* the replay endpoint is asked for what was missed */
    LIMIT_INBOX_ANSWER_MS = 15000,     /* a shard that did not answer by then is asked again */
    LIMIT_STANDING_MS = 1000,          /* how often shards hear of the context */
    LIMIT_STANDING_STALE_MS = 5000,    /* not heard for so long: it counts as unreachable */
    LIMIT_MEMBERS_CACHED = 65536,      /* per shard, 450 bytes each: those of recent scans */
    LIMIT_MEMBER_ASK_MS = 2500,        /* who issues a card waits so long for the context */
    LIMIT_MEMBER_REFRESH_MS = 30000,   /* a member is asked after in the background that often */
    LIMIT_MEMBER_RECALL_MS = 20, /* a scan or an issue waits so long for what other nodes know */
    LIMIT_MEMBER_RECALLS = 256,  /* of one shard on their way to Redis; the others go without */
    LIMIT_MEMBER_RECALL_REST_MS = 1000, /* nobody waits after an answer that was late */
    LIMIT_MEMBER_REFRESHES = 64, /* of one shard on their way at a time; the others come later */
    LIMIT_MEMBER_ASKING = 1024,  /* questions of one shard on their way; the others go without */
    LIMIT_MEMBER_SLICE = 64,     /* cards of a member that work at a time: a share of a batch */
    LIMIT_MEMBER_WORKS = 1024,   /* members with work in memory per tenant; more wait as notes. Work
                                    on quarantined cards stays until an operator frees them */
    LIMIT_MEMBER_NOTES_PAGE = 256, /* open notes read at a time; all watermarks are in the first */
    LIMIT_MEMBER_RETRY_MS = 100,   /* before a slice that failed is tried again */
    LIMIT_MEMBER_RETRY_DOUBLINGS = 4, /* of it: a card that keeps failing is asked each 1.6 s */
    LIMIT_MEMBER_ASIDE_MS = 1000,     /* before quarantined cards are tried again */
    LIMIT_MEMBER_ASIDE_DOUBLINGS = 6, /* of it, to a minute: an operator has to act first */
    LIMIT_DESK_TICK_MS = 100,         /* how late polls and repeats may be */
    LIMIT_BREAKERS_SHOWN = 256,       /* in one answer; the numbers count all */

    /* --- Gateway --- */
    LIMIT_REQUESTS_IN_FLIGHT = 16384, /* per front; more are told `busy` */
    LIMIT_SHARD_REQUESTS = 16384,     /* in a shard at a time, of all fronts: 1.5 KiB each */
    LIMIT_FRONT_CREDITS = 4096,       /* of one front at one shard: 50 ms of a shard's work */
    LIMIT_TENANT_CREDITS = 1024, /* of them, of one tenant: what the mailbox of one card takes */
    LIMIT_RELAY_TENANT_CREDITS = 256, /* of them, of one tenant */
    LIMIT_TENANT_WAITING = 2048,   /* of one tenant and target in a front, beyond its credits: done
                                      within 100 ms at 20,000/s */
    LIMIT_REQUESTS_SENT = 8192,    /* of LIMIT_REQUESTS_IN_FLIGHT, with all shards together */
    LIMIT_REQUESTS_WAITING = 7168, /* of them, for credit or a successor: what is left for it */
    LIMIT_WAITING_RESERVED = 1024, /* of these, for tenants of which nothing waits yet */
    LIMIT_FRONTS = 64,             /* that a shard grants credits to; one is usual */
    LIMIT_FAREWELL_MS = 1000, /* a shard that drained waits for its fronts' last word no longer */
    LIMIT_PAGES_IN_FLIGHT = 512, /* lists, histories and replays of them: up to a MiB each, with the
                                    relay at a time; more wait */
    LIMIT_REQUEST_DEADLINE_MS = 5000,      /* when the client names none; a gate waits no longer */
    LIMIT_REQUEST_DEADLINE_MS_MAX = 60000, /* what a client may name: a proxy gives up by then */
    LIMIT_TOKENS_CACHED = 8192,    /* checked tokens by hash: a check costs 100 µs (FACTS) */
    LIMIT_TOKEN_SIZE = 4096,       /* ours are under 600 bytes */
    LIMIT_TOKEN_TTL_S_MAX = 86400, /* no longer lives a token, nor stands it among the revoked */
    LIMIT_REVOKED_TOKENS = 1024,   /* at a time, 50 KiB of a directory; beyond, rotate the key */
    LIMIT_REVOKED_HEARD = 64,      /* that other nodes told of within one look at the store */
    LIMIT_CLOCK_SKEW_S = 5,        /* nbf and iat may lie that far ahead */
    LIMIT_SCAN_AHEAD_MS = 60000,   /* DESIGN 3.3: `at` further ahead is 400 */
    LIMIT_DIRECTORY_POLL_MS =
        200, /* what the command line changes is seen within 1 s (DESIGN 3.2) */
    LIMIT_DIRECTORY_TENANTS = 65536,   /* tenants of one installation that the front keeps */
    LIMIT_DIRECTORY_TOKEN_KEYS = 16,   /* directory.token_keys */
    LIMIT_DIRECTORY_TIMEOUT_MS = 1000, /* a page that did not come by then is asked for again */
    LIMIT_DRAINING_HOLD_MS = 200,      /* a peer that said it is draining gets nothing for so long,
                                          unless      its successor comes up before */
    LIMIT_DEADLINE_TICK_MS = 25,       /* how late a deadline may be noticed */
    LIMIT_DEADLINE_TICKS = 4096,       /* a turn of the wheel; longer than the longest deadline */
    LIMIT_REQUEST_INLINE_SIZE =
        640, /* of an envelope kept in its slot: nearly all; others malloc */
    LIMIT_REQUEST_PACKED_SIZE = 16384, /* the largest command has under 4 KiB of texts, and room */
    LIMIT_DOCUMENT_ARENA_SIZE = 4194304, /* 1,000 decoded events of a page and room */
    LIMIT_IDEMPOTENCY_KEY_SIZE = 128,    /* the field `key` of request */

    /* --- Channels between roles --- */
    LIMIT_CHANNEL_BATCH_SIZE = 4194304, /* envelopes of one turn are split beyond this */
    LIMIT_CHANNEL_PACE_MS = 2,          /* between messages of a shard to the relay under load */
    LIMIT_CHANNEL_GATHER = 32, /* envelopes that need not wait for a turn that brings none */
    LIMIT_CHANNEL_ENVELOPE_SIZE = 10485760, /* a full page of 1,000 events and room */
    LIMIT_CHANNEL_MESSAGES =
        65536, /* ZeroMQ high-water mark; never reached by LIMIT_REQUESTS_IN_FLIGHT */
    LIMIT_CHANNEL_PEERS = 256, /* fronts and shards of one installation */
    LIMIT_CHANNEL_BUFFER_KEPT_SIZE =
        262144,                     /* per peer between turns; a larger one is given back */
    LIMIT_CHANNEL_LINGER_MS = 1000, /* for the last batch of a role that stops; LIMIT_DRAIN_MS */

    /* --- ZeroMQ --- */
    LIMIT_ZMQ_SOCKETS = 128, /* of one process; a role has under ten, tests host several roles */
    LIMIT_ZMQ_TURN_MESSAGES = 256,  /* read from one socket before the others have their turn */
    LIMIT_ZMQ_ROUTING_ID_SIZE = 32, /* ZeroMQ makes 5 bytes; clients may name themselves */
    LIMIT_RECONNECT_MS_MIN = 10,    /* a role that restarts on this machine is back in tens of ms */
    LIMIT_RECONNECT_MS_MAX = 200,   /* DESIGN 6: first good reply 500 ms after a crash */

    /* --- ROUTER API and events --- */
    LIMIT_API_FRAME_SIZE = 1048576, /* as an HTTP body */
    LIMIT_API_FRAMES = 8, /* routing id, empty delimiter, header, body and room for proxies */
    LIMIT_API_CLIENT_MESSAGES =
        10000,                    /* replies waiting for one client; more are dropped and counted */
    LIMIT_API_SMALL_REPLY = 2048, /* bytes: a card or a verdict; the bound above is enough then */
    LIMIT_API_CLIENT_BYTES = 8388608,  /* of larger replies waiting for one client: eight pages */
    LIMIT_API_UNREAD_BYTES = 67108864, /* for all together, but one for each */
    LIMIT_API_ACCOUNTS = 256,          /* clients with larger replies that wait at the same time */
    LIMIT_EVENT_SUBSCRIBER_MESSAGES =
        100000, /* per subscriber; then PUB drops and the subscriber repairs */
    LIMIT_EVENT_SUBSCRIBER_MESSAGES_MIN =
        100, /* --subscriber-messages: fewer and a burst within one commit drops */
    LIMIT_EVENT_HEAD_INTERVAL_MS = 1000, /* DESIGN 3.4 */
    LIMIT_EVENT_SUBSCRIPTIONS = 4096,    /* prefixes the relay keeps; beyond, heads go to all */
    LIMIT_EVENT_TOPIC_SIZE = 128,        /* of a prefix; the longest topic has 74 */
    LIMIT_EVENT_PACKED_SIZE = 8192,      /* header or body; texts of an event are under 1 KiB */
    LIMIT_RELAY_TENANTS = 4096,   /* with positions in memory, 3 KiB each; least recently used go */
    LIMIT_RELAY_READS = 4096,     /* lists and histories being read or waiting for a journal */
    LIMIT_RELAY_GAP_EVENTS = 500, /* read from the journal in one go when a gap is filled */
    LIMIT_RELAY_HELD_EVENTS = 8192, /* that came while a gap was being filled; more are read anew */
    LIMIT_RELAY_HEAD_TICK_MS = 100, /* heads go out in slices of a round that takes a second */
    LIMIT_RELAY_HEAD_SLICE = 64,    /* tenants per slice */
    LIMIT_RELAY_HEAD_OPENS = 8,     /* of them, journals that are opened only for their heads */
    LIMIT_PAGE_ITEMS = 50,          /* when the client names no limit (messages/card.def) */
    LIMIT_PAGE_EVENTS = 100,        /* the same for events.read */
    LIMIT_PAGE_ITEMS_MAX = 500,   /* of lists and histories: card_page.items, history_page.items */
    LIMIT_PAGE_EVENTS_MAX = 1000, /* event_page.items */
    LIMIT_PAGE_BUFFER_KEPT_SIZE = 262144, /* a page buffer larger than this is not kept */
    LIMIT_API_HOLD_MS =
        1000, /* replies held on a hand-over: clients that wait for them fall quiet */
    LIMIT_API_HOLD_SPARE =
        16, /* held beyond twice of what was in flight before: somebody does not wait */
    LIMIT_API_QUIET_MS = 25, /* nothing came for so long: a round trip on one machine or network */
    LIMIT_API_QUIET_MS_MAX = 250, /* the same where things are seen to be late */
    LIMIT_API_QUIET_FACTOR = 4,   /* times as long as what was late before */
    LIMIT_API_CORK_MS = 150,      /* the kernel holds a last piece back for 200 ms */
    LIMIT_API_FLUSH_MS = 1000, /* ZeroMQ's thread writes what it was given; or a client reads not */
    LIMIT_API_END_MS = 1000,   /* clients that were told the end close their side */
    LIMIT_API_LEAVE_MS = 3000, /* of LIMIT_DRAIN_MS, for clients that never fall quiet */
    LIMIT_API_TICK_MS = 5,     /* how often it is looked whether they did */
    LIMIT_API_ENVELOPE_SIZE = 512,        /* frames echoed: a routing id has 255 bytes at most */
    LIMIT_API_SPARE_REQUESTS = 1024,      /* kept for reuse; each below 1 KiB */
    LIMIT_API_ARENA_SIZE = 65536,         /* texts of one decoded command: the largest take 2 KiB */
    LIMIT_API_SCRATCH_SIZE = 65536,       /* one packed reply; what a page took beyond is freed */
    LIMIT_EVENT_PREFIX_SIZE = 128,        /* prefix of a subscription; ours have 80 bytes at most */
    LIMIT_EVENT_SUBSCRIPTION_SIZE = 1024, /* frame of a subscriber, ZeroMQ's handshake included */
    LIMIT_EVENT_SUBSCRIPTIONS_WAITING = 10000, /* not yet looked at; one turn reads them all */

    /* --- Actors --- */
    LIMIT_MAILBOX_MESSAGES = 1024, /* one card at 10,000/s with a commit of 100 ms; then `busy` */
    LIMIT_ACTORS_ACTIVE = 4194304, /* per shard; LIMIT_ACTOR_BYTES comes first, but for tiny ones */
    LIMIT_ACTORS_OF_KIND = 134217728, /* what the index in actor_ref_t has bits for */
    LIMIT_ACTOR_BYTES = 536870912, /* of active actors per shard, unless told: then idle ones go */
    LIMIT_ACTOR_BYTES_MIN = 1048576,  /* --actor-bytes-max: 2,500 cards, one full mailbox each */
    LIMIT_ACTOR_ARENA_SIZE = 1048576, /* of one actor, unless its kind says less */
    LIMIT_MESSAGE_POOL_SIZE = 1073741824, /* messages of the pool and arenas, per shard */
    LIMIT_ACTOR_TURN_MESSAGES = 32,       /* of one actor before the next has its turn */
    LIMIT_TENANT_TURN_COST = 64, /* messages of one tenant before the next: two actors' turns */
    LIMIT_TENANT_CHARGE_US = 20, /* a handler costs one message more for each: a usual one's time */
    LIMIT_TENANT_DEBT = 1024,    /* 20 ms: a tenant whose handler took longer waits no longer */
    LIMIT_SCHEDULER_TURN_MESSAGES = 4096, /* of all before the loop looks at its sockets again */
    LIMIT_SCHEDULER_TURN_US = 1000,       /* the same for handlers that take their time */
    LIMIT_HANDLER_BUDGET_US = 20000,      /* a handler that takes longer is counted and logged */
    LIMIT_ACTOR_NOTICES = 4194304,        /* timers, questions, watches of all actors of a shard */
    LIMIT_ACTOR_NOTICES_OWNED = 4096,     /* the same of one actor; all may lie in its mailbox */
    LIMIT_ACTOR_GROUPS = 49152,     /* of a role, 1 KiB each; a mailbox holds a notice of all */
    LIMIT_GROUP_CHILDREN = 64,      /* of one supervision group */
    LIMIT_GROUP_RESTARTS = 16,      /* that a group may allow: each is remembered, 8 bytes */
    LIMIT_SPAWN_ARGUMENT_SIZE = 64, /* what an anonymous actor begins with */
    LIMIT_ACTOR_RESTARTS = 5,       /* DESIGN 2.1, of one actor or group, in ... */
    LIMIT_ACTOR_RESTARTS_WINDOW_MS = 10000, /* ... this time (DESIGN 2.1) */
    LIMIT_ACTOR_BACKOFF_MS_MIN = 10,        /* second restart; the first is immediate */
    LIMIT_ACTOR_BACKOFF_MS_MAX = 1000,      /* a card is back within the deadline of who asks */
    LIMIT_ACTOR_KINDS = 8,                  /* card, guest card, tenant, breaker and room */
    LIMIT_PASSIVATION_SCAN = 32, /* idle actors asked for their place before the answer is `busy` */
    LIMIT_LOADS_IN_FLIGHT = 1024, /* activations at once per shard, unless told (no stampede after a
                                     restart): 15 ms of the store's work, and as many as one
                                     card's mailbox holds messages */
    LIMIT_LOADS_IN_FLIGHT_MAX = 16384,   /* --activations-max: what a shard has requests for */
    LIMIT_KEYS_IN_FLIGHT = 16384,        /* idempotency keys being worked on per shard */
    LIMIT_MEMBER_KEYS_CACHED = 16384,    /* per shard, 32 bytes each and a name */
    LIMIT_SNAPSHOT_INTERVAL_EVENTS = 64, /* a tail no longer than this is folded on activation */
    LIMIT_PASSIVATION_TAIL_EVENTS = 16,  /* a card that goes leaves a snapshot for no fewer: one
                                            write  for sixteen validations */
    LIMIT_PASSIVATION_SNAPSHOTS = 64, /* of one batch: 0.6 ms of a commit; more cards go without */
    LIMIT_DRAIN_SNAPSHOTS = 1024,     /* of one shard that drains: 10 ms */
    LIMIT_SWEEP_INTERVAL_MS = 60000,  /* expiry (DESIGN 2.2) */
    LIMIT_SWEEP_SLICE = 256,          /* cards expired in one go */
    LIMIT_CLOCK_JUMP_MS = 3600000,    /* no correction of a clock that works is larger */
    LIMIT_CLOCK_HOLD_MS = 3600000,    /* for NTP or a person to notice; only records wait for it */
    LIMIT_REMINDERS_SLICE = 64,       /* delivered in one go: one batch takes them */
    LIMIT_SUSPENSION_RETRY_MS = 3600000, /* a suspension that ends while the card is expired */
    LIMIT_CLEAN_INTERVAL_MS = 300000,    /* old replies: a day is kept, minutes do not matter */
    LIMIT_CLEAN_SLICES_EXTRA = 2000,     /* after a long absence: a million replies */
    LIMIT_SWEEP_ROTATION_MS = 300000, /* a tenant nobody touches is opened and swept that often */
    LIMIT_CLOCK_BACK_MS = 1000,       /* less is a leap second or the work of NTP: nobody is told */
    LIMIT_SWEEP_OPENS_PER_TICK = 4,   /* of them per LIMIT_DIRECTORY_POLL_MS, those that are still
                                         being opened included: each costs an fsync */
    LIMIT_SWEEPS_AT_ONCE = 8,         /* of a shard: reads that nobody waits for */
    LIMIT_QUARANTINE = 4096,          /* commands a shard refuses, 80 bytes each: 16 tenants full of
                                         dead letters; the newest count */
    LIMIT_SHARD_SCRATCH_SIZE = 16384, /* one document or stored reply while it is packed */

    /* --- Journal --- */
    LIMIT_BATCH_EVENTS = 256,       /* of one commit (DESIGN, issue "The journal") */
    LIMIT_BATCH_NOTES = 256,        /* members and watermarks of one commit: one for each event */
    LIMIT_BATCH_SIZE = 1048576,     /* its events and replies: 4 KiB for each of them */
    LIMIT_BATCH_REQUESTS = 512,     /* answered by one commit; reads join the batches of writes */
    LIMIT_BATCH_REMINDERS = 256,    /* no request asks for more than one; a sweep takes fewer */
    LIMIT_BATCH_CHUNK_SIZE = 65536, /* memory of a batch grows by this much */
    LIMIT_BATCHES_KEPT = 16,        /* empty batches a shard keeps for reuse, 200 KiB each */
    LIMIT_BATCH_RETRY_MS = 5,       /* the store's queue was full */
    LIMIT_BATCH_WAITING =
        8192,                /* events that wait for the next batch of one partition; then `busy` */
    LIMIT_STORE_THREADS = 4, /* per shard: an fsync blocks one; loads go on beside commits */
    LIMIT_STORE_SILENT_MS = 8000,    /* no commit and no read has ended: not ready. Longer than
                                        LIMIT_POSTGRES_ANSWER_MS, after which one of them ends: what
                                        one tenant waits for takes nobody else's service away */
    LIMIT_CONTROL_FAILING_MS = 2000, /* of the control store: not ready; a restart of PostgreSQL
                                        takes a second */
    LIMIT_STORE_FULL_MS = 2000,   /* every commit was refused for want of space: not ready. And so
                                     long nothing more is refused before it counts as over when
                                     nobody commits */
    LIMIT_STORE_TRY_MS = 1000,    /* between two tries whether it still is */
    LIMIT_STORE_TELL_MS = 1000,   /* a store's trouble is told again so often, because a message may
                                     be lost ... */
    LIMIT_STORE_TOLD_MS = 5000,   /* ... and over for a front that was not told for so long */
    LIMIT_STORE_QUEUE = 65536,    /* jobs waiting for them */
    LIMIT_WORK_THREADS = 16,      /* of one pool; the store needs four per shard */
    LIMIT_WORK_LATE_MS = 3000,    /* a call that has blocked so long is worth a line: an fsync takes
                                     milliseconds, and 5 s is what a request waits */
    LIMIT_WORK_LOOK_MS = 1000,    /* how often that is looked at, while there are jobs */
    LIMIT_WORK_LOOP_MS = 60000,   /* of processor time for one call: then it loops. The longest of
                                     ours builds an index of millions of rows, and done in vain it
                                     would be begun again; so rare an end is no crash loop */
    LIMIT_WORK_JOBS_KEPT = 1024,  /* free job records kept for reuse, 48 bytes each */
    LIMIT_STORE_FILES_OPEN = 256, /* tenants open at once per role: five descriptors each */
    LIMIT_IDEMPOTENCY_AGE_S = 86400,     /* replies are kept for a day, unless told */
    LIMIT_IDEMPOTENCY_HOURS_MAX = 720,   /* a month: nobody repeats a request later */
    LIMIT_IDEMPOTENCY_CLEAN_SLICE = 500, /* rows deleted in one go */
    LIMIT_REFUSAL_LOG_ROWS = 10000,    /* scans that identify no card, per tenant; the oldest go */
    LIMIT_REFUSAL_LOG_PER_SECOND = 50, /* per tenant; more are counted only */
    LIMIT_STORE_BATCHES_WAITING = 256, /* per tenant: its 64 partitions, and room for pipelining */
    LIMIT_STORE_BUSY_MS = 250,         /* SQLite waits this long for a lock that a reader holds */
    LIMIT_STORE_BUSY_TRIES = 4,        /* then asks again this often: a second in all */
    LIMIT_STORE_WAL_PAGES = 8000,      /* 32 MiB, read in 30 ms after a crash; then a checkpoint */
    LIMIT_STORE_WAL_SIZE = 67108864,   /* a longer file is cut when the log starts over */
    LIMIT_STORE_WRITER_CACHE_KIB = 4096, /* per open tenant: the hot right edges of the tables */
    LIMIT_STORE_READER_CACHE_KIB = 2048, /* per open tenant: inner pages; leaves the kernel keeps */
    LIMIT_STORE_LOG_INTERVAL_MS = 1000,  /* one line per file and kind of failure, then counted */
    LIMIT_STORE_PAGE_ROWS = 10000,       /* rows that one read returns at most */
    LIMIT_STORE_PATH_SIZE = 4096,        /* PATH_MAX */
    LIMIT_STORE_VERIFY_PROBLEMS = 100,   /* listed in one report; the rest is counted */
    LIMIT_LOAD_TAIL_EVENTS = 16384,      /* after a snapshot: 256 times the interval of snapshots */
    LIMIT_LIST_SCAN_ROWS = 4096,         /* looked at for one page: about 5 ms of the read lane */
    LIMIT_LIST_GLANCE_PER_ROW = 20, /* newest ones looked at per row of the page, before anything is
                                       gathered and sorted: 1 ms for 50, filled by what 5 % fit */
    LIMIT_LIST_PREFIX_SIZE = 256,   /* twice card_list.q: a longer one matches nothing shorter */
    LIMIT_LIST_MATCHES = 2048,      /* of a prefix that are sorted; more are found by scanning */

    LIMIT_ARCHIVE_CHUNK_SIZE = 4194304, /* of a backup: the largest row is a body of 1 MiB */
    LIMIT_ARCHIVE_SLICE_ROWS = 1000,    /* read from PostgreSQL in one go for a backup: some MiB */
    LIMIT_ARCHIVE_PIPELINE_ROWS = 256,  /* sent to it before answers are read: those fit a socket */
    LIMIT_ARCHIVE_CHUNK_FILL = 262144,  /* then it is written: a hash per quarter of a MiB */
    LIMIT_SEALED_NAME_SIZE = 128,      /* member id or idempotency key that something is bound to */
    LIMIT_RETAIN_MONTHS = 1200,        /* that go in one archive: a hundred years */
    LIMIT_RETAIN_LOCK_MS = 300,        /* waited for a lock that holds up the gate meanwhile */
    LIMIT_RETAIN_LOCK_TRIES = 50,      /* then somebody reads for longer: half a minute */
    LIMIT_RESTORE_NAMES = 262144,      /* sealed names followed in one reading: 64 MiB at most */
    LIMIT_VERIFY_FILE_CARDS = 1048576, /* followed in one reading of a backup: 64 MiB */
    LIMIT_VERIFY_FILE_SLICES = 1024,   /* readings: for a thousand million cards */

    /* --- Read models --- */
    LIMIT_PROJECTION_EVENTS = 1000,     /* folded in one commit: about 1 ms of the relay's loop */
    LIMIT_PROJECTION_THREADS = 2,       /* apart from the journal's: one commits while one reads */
    LIMIT_PROJECTION_SESSIONS = 4,      /* on PostgreSQL: one per thread, and two that stay open */
    LIMIT_PROJECTION_SESSIONS_MAX = 64, /* more are of no use to two threads */
    LIMIT_PROJECTION_QUEUE = 16384,     /* jobs waiting for them: all reads of a relay and room */
    LIMIT_PROJECTION_WAL_PAGES = 4000,  /* 16 MiB of log; then SQLite writes it back */
    LIMIT_PROJECTION_CACHE_KIB = 4096,  /* per connection: the inner pages of a million cards */
    LIMIT_PROJECTION_FEED_SIZE = 4194304, /* events of one tenant that wait to be folded: 20,000 of
                                             them; more are read from the journal later */
    LIMIT_PROJECTION_FEEDS_SIZE = 67108864, /* the same of all tenants */
    LIMIT_PROJECTION_STEPS = 8,             /* tenants folded at a time: 1 MiB each */
    LIMIT_PROJECTION_INTERVAL_MS = 50,      /* what came gathers for so long, unless a page waits */
    LIMIT_PROJECTION_RETRY_MS = 1000,       /* after a commit that failed */
    LIMIT_PROJECTION_LOG_INTERVAL_MS = 10000, /* one line per tenant: lists still answer */
    LIMIT_PROJECTION_WAIT_MS = 1000,  /* a page waits so long for what was committed before it was
                                         asked; then it shows what there is and says so */
    LIMIT_PROJECTION_ROUND_OPENS = 4, /* tenants at a time, and per tick, that are opened to look
                                         for events that nobody told of: at most 80 a second */
    LIMIT_PROJECTION_MATCHES = 8192,  /* of a prefix or range that are sorted for a page, 3 ms; when
                                         there are more among a million cards, LIMIT_LIST_SCAN_ROWS
                                         newest ones have most of a page of them */
    LIMIT_NAME_WORDS = 8,             /* of a holder's name that can be searched for */
    LIMIT_NAME_WORD_SIZE = 64,        /* bytes of a folded word; longer ones are cut */
    LIMIT_ROLLUPS = 31,      /* rows of a page when the client names no limit: a month of days */
    LIMIT_ROLLUPS_MAX = 100, /* rollup_page.items */
    LIMIT_ROLLUP_SCANS = 32, /* rollup.scans */

    /* --- PostgreSQL --- */
    LIMIT_POSTGRES_HOSTS = 8, /* in one URL: a primary and its standbys */
    LIMIT_POSTGRES_CONNECTIONS =
        16, /* per role, unless told: five roles stay below the server's 100 */
    LIMIT_POSTGRES_CONNECTIONS_MAX = 1024, /* what a setting may ask for */
    LIMIT_POSTGRES_TENANTS = 4096, /* open at once per role: 10 KiB each, connections are shared */
    LIMIT_POSTGRES_PIPELINE =
        32, /* reads under way on one connection before the first is answered */
    LIMIT_POSTGRES_QUEUE = 4096, /* commands of one lane; loads are bounded far below */
    LIMIT_POSTGRES_TAILS =
        65536, /* cards whose last event a journal remembers: 2 MiB when all were scanned */
    LIMIT_POSTGRES_GROUP_EVENTS = 1024, /* of the batches that share one commit: about 10 ms */
    LIMIT_POSTGRES_CONNECT_MS = 3000,   /* to a session that answers; 12 ms are usual */
    LIMIT_POSTGRES_RETRY_MS = 100,      /* between tries, when the outcome of a commit is open */
    LIMIT_POSTGRES_STATEMENT_MS = 5000, /* the server ends a statement that takes longer */
    LIMIT_POSTGRES_ANSWER_MS = 7000,    /* no answer by then: the connection counts as lost */
    LIMIT_POSTGRES_WAIT_MS =
        15000, /* in line for a connection: longer than a gate waits, which hears 503 from the front
                  by then; who gave up earlier would have to open the tenant anew, for more turns */
    LIMIT_POSTGRES_MONTH_AHEAD_MS = 172800000, /* the next month has its table two days ahead */
    LIMIT_POSTGRES_RESOLVE_MS = 30000, /* an outcome that cannot be looked up by then is unknown */
    LIMIT_POSTGRES_HEAT_MS =
        5000, /* a use of a connection counts half after it: some rounds of a tenant that is used
                 every second, far less than the pause of one that is not */
    LIMIT_POSTGRES_TURN_MS = 200, /* a busy lane keeps its connection that long while others wait:
                                     ten times what making another one costs */
    LIMIT_POSTGRES_REST_MS =
        25, /* an idle connection is kept that long for one who uses it more than who waits: the
               steps of one scan follow each other faster */
    LIMIT_POSTGRES_PATIENCE_MS =
        500, /* who has waited that long gets any idle connection, and if none is, that of a lane
                whose turn is over: a tenth of what a gate waits */
    LIMIT_POSTGRES_BEGINNING =
        4, /* connections of a role that begin at once: 4 ms of a local server's processor each;
              more take it from those who have one, and nothing is finished sooner */
    LIMIT_POSTGRES_BEGINNING_SHARE =
        8, /* ... or that part of all: a server that has room for many can begin many */
    LIMIT_POSTGRES_BEGINNING_MS =
        1000, /* one that takes longer waits for a lock or a silent server, and keeps nobody back */
    LIMIT_POSTGRES_CONTROL_RETRY_MS =
        1000, /* a control database that is away blocks no loop longer */
    LIMIT_POSTGRES_CONTROL_CONNECT_MS = 2000, /* 12 ms are usual; the watchdog has 10 s */
    LIMIT_POSTGRES_CONTROL_ANSWER_MS = 3000,  /* a query; whoever waits for it has 5 s */
    LIMIT_POSTGRES_CONTROL_EXECUTE_MS =
        8500, /* CREATE DATABASE; the server itself gives up at 8 s */
    LIMIT_POSTGRES_CONTROL_MIGRATE_MS =
        600000,                      /* one step; only `serve` and commands wait so long */
    LIMIT_POSTGRES_START_TRIES = 60, /* a second apart, before `serve` gives up */
    LIMIT_POSTGRES_CLOSE_MS = 5000,  /* a role that stops waits so long for the last commits */

    /* --- Control store --- */
    LIMIT_CONTROL_INCARNATIONS = 1000, /* role starts remembered, for looking back */
    LIMIT_CONTROL_BUSY_MS = 2000,      /* the writer holds its lock for milliseconds */

    LIMIT_DEAD_LETTERS = 256, /* per tenant, 2 MiB: each took two kills of a role; the oldest go */

    /* --- Cache shared by nodes (actors/ports/cache.h) --- */
    LIMIT_CACHE_PENDING = 8192,        /* commands without an answer: 80 ms of what a Redis does */
    LIMIT_CACHE_TIMEOUT_MS = 250,      /* one that is slower helps nobody: it counts as away */
    LIMIT_CACHE_TICK_MS = 25,          /* overdue commands are looked for so often */
    LIMIT_CACHE_CONNECT_MS = 1000,     /* to a server that answers its first PING */
    LIMIT_CACHE_BACKOFF_MS_MIN = 50,   /* of the first pause, before jitter */
    LIMIT_CACHE_BACKOFF_MS_MAX = 2000, /* counts are common again within 5 s of its return */
    LIMIT_CACHE_IDLE_MS = 1000,        /* without an answer by then: a PING */
    LIMIT_CACHE_NODES = 32,            /* of one Redis Cluster */
    LIMIT_CACHE_ADDRESSES = 8,         /* in one --redis URL */
    LIMIT_CACHE_REDIRECTS = 5,         /* of one command through a cluster that changes its mind */
    LIMIT_CACHE_TOPICS = 4,            /* two are in use */
    LIMIT_CACHE_KEY_SIZE = 128,        /* ours are under 64 bytes */
    LIMIT_CACHE_VALUE_SIZE = 65536,    /* a member status is under 1 KiB, an event under 4 KiB */
    LIMIT_CACHE_REPLY_SIZE = 1048576,  /* unparsed bytes of one server: 16 of the largest values */
    LIMIT_CACHE_REPLY_ITEMS = 64,      /* of one array: a published message has four */
    LIMIT_CACHE_OUT_SIZE = 8388608,    /* unsent bytes to one server */
    LIMIT_CACHE_ENTRIES = 16384, /* that one node alone remembers: 16 MiB of member statuses */

    LIMIT_CONSUMERS = 32,             /* of one tenant: each is looked at in every list of them */
    LIMIT_CONSUMER_SILENCE_DAYS = 30, /* then it is forgotten: it left, or counts elsewhere */
    LIMIT_CONSUMER_ACKS = 256,        /* that wait for one commit */
    LIMIT_CONSUMER_ACK_MS = 20,       /* so long they gather: 50 commits a second at most */
    LIMIT_CONSUMER_LOOK_MS = 5000,    /* lags are counted so often */
    LIMIT_CONSUMER_SERIES = 64, /* consumers with a series of their own in metrics: those furthest
                                   behind. 6 KiB of text; who has more looks at the ends first */
    LIMIT_CONSUMER_LOOK_OPENS = 8, /* journals opened for it at a time: the busy ones stay open */

    /* Webhooks. */
    LIMIT_WEBHOOKS = 16,               /* of one tenant: each is a consumer too */
    LIMIT_WEBHOOKS_ALL = 2048,         /* of one relay: 8 KiB each, half of LIMIT_RELAY_TENANTS */
    LIMIT_WEBHOOK_EVENTS = 256,        /* of one webhook in memory, all partitions */
    LIMIT_WEBHOOK_EVENTS_ALL = 65536,  /* of all: 64 MB when that many wait for dead endpoints; */
    LIMIT_WEBHOOK_EVENTS_MIN = 8,      /* then so many of each, so that the others get on */
    LIMIT_WEBHOOK_CALLS = 8,           /* of one webhook on their way: different cards */
    LIMIT_WEBHOOK_CALLS_TENANT = 24,   /* of one tenant: 16 dead webhooks of it get no more */
    LIMIT_WEBHOOK_CALLS_ALL = 192,     /* of a relay; below LIMIT_HTTP_CALLS */
    LIMIT_WEBHOOK_CALLS_SLOW = 96,     /* of these, of webhooks that do not answer quickly */
    LIMIT_WEBHOOK_QUICK_MS = 1000,     /* a quick answer: a tenth of the deadline */
    LIMIT_WEBHOOK_DEADLINE_MS = 10000, /* of one attempt; receivers are told to queue */
    LIMIT_WEBHOOK_ANSWER_SIZE = 16384, /* of an answer, which nobody reads */
    LIMIT_WEBHOOK_BODY_SIZE = 65536,   /* an event of 8 KiB with every byte escaped */
    LIMIT_WEBHOOK_OVERLAP_HOURS = 168, /* of an old secret after a rotation, at most */
    LIMIT_WEBHOOK_LOG = 1000,          /* deliveries of one webhook kept for people to read */
    LIMIT_WEBHOOK_CLAIM_MS = 10000, /* so long webhooks rest when the service that sends is gone */
    LIMIT_WEBHOOK_CLAIM_AGAIN_MS = 2000, /* it says so often that it is there */
    LIMIT_WEBHOOK_TICK_MS = 50,          /* deliveries are started and outcomes stored so often */
    LIMIT_WEBHOOK_OUTCOMES = 512,        /* that wait for the next commit */
    LIMIT_WEBHOOK_CURSORS = 512,         /* moved in one commit; the others in the next one */
    LIMIT_WEBHOOK_LOOK_MS = 30000, /* into the journal, for what a shard that died did not tell */
    LIMIT_RATE_ENTRIES = 16384,    /* tokens and tenants with requests in one second */
    LIMIT_RATE_MAX = 1000000,      /* --rate-per-…: above what one machine can do */
    LIMIT_RATE_EXCHANGE_MS = 100,  /* by so much may the nodes together go over a limit */

    /* --- Supervision --- */
    LIMIT_RESTARTS = 5,                 /* DESIGN 2.1: more than 5 in 10 s escalate */
    LIMIT_RESTARTS_WINDOW_MS = 10000,   /* DESIGN 2.1 */
    LIMIT_BACKOFF_MS_MIN = 50,          /* second restart; the first is immediate */
    LIMIT_BACKOFF_MS_MAX = 5000,        /* six quick failures escalate long before */
    LIMIT_ROLE_GROUPS = 4,              /* of roles that are restarted together; serve has one */
    LIMIT_ROLE_GROUP_RESTARTS = 2,      /* of a whole group before the service gives up: what two
                                           fresh starts of everything do not mend is for systemd */
    LIMIT_ROLE_GROUP_WINDOW_MS = 60000, /* within this time: six times that of a role */
    LIMIT_ROLE_GROUP_STOP_MS = 1000,    /* a sibling may finish what is in flight for so long */
    LIMIT_START_MS = 15000, /* a role that is not ready by then is ended and counts as failed */
    LIMIT_DRAIN_MS = 10000, /* SIGTERM to SIGKILL */
    LIMIT_LINK_FRAME_SIZE = 8388608,  /* one metrics page of a role is far below */
    LIMIT_LINK_QUEUE_SIZE = 33554432, /* unsent bytes of one link: four largest frames; then its
                                         reader hangs and the link counts as broken */
    LIMIT_LINK_REQUESTS = 256,        /* waiting for an answer on one link */
    LIMIT_LINK_TIMEOUT_MS = 2000,     /* a role that answers later is as good as hanging */
    LIMIT_WATCHDOG_MS = 10000,  /* a role silent for that long hangs: the longest handler of ours, a
                                   control command, takes milliseconds */
    LIMIT_HANDLER_LOOP_MS = 50, /* of processor time for one command, of which ours take 0.1:
                                   two such kills pass within 1 % of half a minute */
    LIMIT_HANDLER_HANG_MS = 500,     /* one command in work for so long, while its role computes or
                                        sleeps, hangs: LIMIT_HANDLER_BUDGET_US 25 times */
    LIMIT_WATCHDOG_MS_MIN = 400,     /* --watchdog-ms: four pings of a tick */
    LIMIT_WATCHDOG_MS_MAX = 600000,  /* longer is as good as none */
    LIMIT_RESTART_HEALTHY_MS = 1000, /* ready for that long: the next backoff begins anew; crash
                                        loops of longer runs are what the intensity is for */
    LIMIT_CRASH_REQUEST_SIZE =
        8192, /* kept of the command in work: ours have under 4 KiB of texts */
    LIMIT_CRASH_FINGERPRINTS = 512, /* commands and actors that killed a role once and are
                                       remembered, 72 bytes each; two of a kill, so with
                                       LIMIT_RESTARTS eight minutes of crashes at the very least */
    LIMIT_CRASH_KILLS = 2,          /* of one command: it is quarantined (DESIGN 2.1). The same of
                                       an actor that was being built from what is stored */
    LIMIT_CRASH_COMMANDS = 3,       /* different commands of one actor that killed: it is the actor;
                                       two may be two bad ones, and one restart more costs 0.1 s */
    LIMIT_OOM_WINDOW_MS = 1000,     /* a kill within one to two of these after the kernel counted an
                                       out-of-memory kill is taken for it: dying takes a moment */
    LIMIT_FRONT_WARM_MS = 2000, /* a front accepts nothing before it can answer, but no longer than
                                   that: then its health page says what is missing */
    LIMIT_PROGRAM_PATH_SIZE = 4096, /* PATH_MAX */
    LIMIT_SERVE_ADDRESS_MS = 2000,  /* after a kill -9 its roles end within ms, or after a commit */
    LIMIT_OPEN_FILES_MIN = 256,     /* of one role: 30 of its own, some connections and tenants */
    LIMIT_ROLE_ARGUMENTS = 32,      /* argv of one role; ours take 20 */
    LIMIT_ROLE_ENDPOINT_SIZE = 127, /* ipc:// and a path of LIMIT_IPC_PATH_SIZE, with room */
    LIMIT_CONTROL_CLIENTS = 32,     /* a few operators with `top`, and scripts */
    LIMIT_CONTROL_LINE_SIZE = 65536, /* the longest command is under 2 KiB */
    LIMIT_CONTROL_IDLE_MS = 10000,   /* a client that neither asks nor reads its answer is closed */
    LIMIT_CONTROL_TIMEOUT_MS = 10000,     /* a command forwarded to the control role */
    LIMIT_CONTROL_ANSWER_SIZE = 67108864, /* metrics of LIMIT_ROLES roles at 1 MiB each */

    /* --- Metrics and log --- */
    LIMIT_METRICS = 1024,       /* series per role; labels come from closed sets only */
    LIMIT_LOG_LINE_SIZE = 4096, /* PIPE_BUF: lines of several processes do not mix */
    LIMIT_LOG_WAIT_MS = 100, /* for a reader of standard error that is behind, once; then lines are
                                left out and counted until it reads again */
};

#endif
