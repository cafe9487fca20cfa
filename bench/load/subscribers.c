/* See subscribers.h. One thread reads all of them; each keeps the last sequence of every partition,
 * so that a gap or a repetition is seen. */
#include "bench/load/subscribers.h"
#include "bench/load/options.h"
#include "bench/load/wire.h"

#include "messages/message.h"
#include "messages/msgpack_cursor.h"
#include "messages/rfc3339.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 64, READ_SIZE = 262144, QUIET_MS = 300, QUIET_TRIES = 20 };

typedef struct subscriber {
    int fd;
    bool is_open;
    load_buffer_t in;
    uint64_t sequence[PARTITIONS_MAX]; /* 0: none seen */
} subscriber_t;

struct load_subscribers {
    const load_options_t *options;
    pthread_t thread;
    atomic_bool is_ending;
    atomic_uint_fast64_t received;
    uint32_t count;
    uint64_t missed;
    uint64_t repeated;
    uint64_t lost; /* connections */
    histogram_t lag_ms;
    subscriber_t all[LOAD_SUBSCRIBERS_MAX];
};

static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int subscriber_connect(const load_address_t *address)
{
    if (address->is_ipc) {
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        memcpy(local.sun_path, address->path, sizeof(local.sun_path));
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&local, sizeof(local)) != 0) {
            (void)close(fd);
            return -1;
        }
        return fd;
    }
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(address->host, address->port, &wanted, &found) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        (void)close(fd);
        freeaddrinfo(found);
        return -1;
    }
    freeaddrinfo(found);
    return fd;
}

typedef struct event_header {
    uint64_t partition;
    uint64_t sequence;
    int64_t occurred_ms;
} event_header_t;

static bool read_event(text_t data, event_header_t *event)
{
    msgpack_cursor_t cursor = {(const uint8_t *)data.data, (const uint8_t *)data.data + data.size};
    msgpack_value_t map;
    if (!msgpack_read(&cursor, &map) || map.kind != MSGPACK_MAP) {
        return false;
    }
    for (uint64_t pair = 0; pair < map.number; pair++) {
        msgpack_value_t name;
        if (!msgpack_read(&cursor, &name)) {
            return false;
        }
        msgpack_cursor_t peek = cursor;
        msgpack_value_t value;
        if (!msgpack_read(&peek, &value) ||
            msgpack_skip(&cursor, MESSAGE_DEPTH_MAX) != MSGPACK_SKIPPED) {
            return false;
        }
        if (text_equal(name.data, TEXT_LITERAL("partition"))) {
            event->partition = value.number;
        } else if (text_equal(name.data, TEXT_LITERAL("sequence"))) {
            event->sequence = value.number;
        } else if (text_equal(name.data, TEXT_LITERAL("occurred_at")) &&
                   !rfc3339_parse(value.data, &event->occurred_ms)) {
            return false;
        }
    }
    return event->partition < PARTITIONS_MAX && event->sequence > 0;
}

static void take_event(load_subscribers_t *subscribers, subscriber_t *subscriber,
                       const load_zmtp_message_t *message)
{
    const text_t head = TEXT_LITERAL(".Head");
    const text_t topic = message->parts[0];
    event_header_t event = {0};
    if (message->count != 3 ||
        (topic.size > head.size &&
         memcmp(topic.data + topic.size - head.size, head.data, head.size) == 0) ||
        !read_event(message->parts[1], &event)) {
        return;
    }
    uint64_t *const last = &subscriber->sequence[event.partition];
    if (*last > 0 && event.sequence <= *last) {
        subscribers->repeated++;
        return;
    }
    subscribers->missed += *last > 0 ? event.sequence - *last - 1 : 0;
    *last = event.sequence;
    atomic_fetch_add_explicit(&subscribers->received, 1, memory_order_relaxed);
    const int64_t lag = wall_ms() - event.occurred_ms;
    histogram_record(&subscribers->lag_ms, lag > 0 ? (uint64_t)lag : 0);
}

static bool send_all(subscriber_t *subscriber, load_buffer_t *out)
{
    const bool is_sent =
        send(subscriber->fd, out->data, out->end, MSG_NOSIGNAL) == (ssize_t)out->end;
    load_buffer_deinit(out);
    return is_sent;
}

/* Only now: libzmq 4.3.4 drops a publisher's connection on which the subscription comes together
 * with the handshake. */
static bool subscribe(const load_subscribers_t *subscribers, subscriber_t *subscriber)
{
    char topic[96];
    load_buffer_t out = {0};
    const int size =
        snprintf(topic, sizeof(topic), "\1digitalcard.%s.", subscribers->options->tenant);
    load_zmtp_write_frame(&out, topic, (size_t)size, false);
    return send_all(subscriber, &out);
}

/* False: the connection is gone. */
static bool receive(load_subscribers_t *subscribers, subscriber_t *subscriber)
{
    uint8_t *const room = load_buffer_room(&subscriber->in, READ_SIZE);
    const ssize_t size = recv(subscriber->fd, room, READ_SIZE, 0);
    if (size <= 0) {
        return size < 0 && errno == EINTR;
    }
    subscriber->in.end += (size_t)size;
    const char *why = NULL;
    for (;;) {
        load_zmtp_message_t message;
        switch (load_zmtp_take(&subscriber->in, &subscriber->is_open, &message, &why)) {
        case LOAD_TAKE_MORE:
            return true;
        case LOAD_TAKE_BROKEN:
            return false;
        case LOAD_TAKE_FRAME:
            take_event(subscribers, subscriber, &message);
            break;
        case LOAD_TAKE_READY:
            if (!subscribe(subscribers, subscriber)) {
                return false;
            }
            break;
        }
    }
}

static void *subscribers_main(void *context)
{
    load_subscribers_t *const subscribers = context;
    struct pollfd waits[LOAD_SUBSCRIBERS_MAX];
    for (uint32_t index = 0; index < subscribers->count; index++) {
        waits[index] = (struct pollfd){.fd = subscribers->all[index].fd, .events = POLLIN};
    }
    while (!atomic_load(&subscribers->is_ending)) {
        if (poll(waits, subscribers->count, 50) <= 0) {
            continue;
        }
        for (uint32_t index = 0; index < subscribers->count; index++) {
            if (waits[index].revents != 0 && !receive(subscribers, &subscribers->all[index])) {
                waits[index].fd = -1;
                subscribers->lost++;
            }
        }
    }
    return NULL;
}

static bool open_subscriber(const load_address_t *address, subscriber_t *subscriber)
{
    load_buffer_t out = {0};
    load_zmtp_open(&out, "SUB");
    subscriber->fd = subscriber_connect(address);
    return subscriber->fd >= 0 && send_all(subscriber, &out);
}

load_subscribers_t *load_subscribers_start(const load_options_t *options, const char **why)
{
    load_address_t address;
    load_subscribers_t *subscribers = calloc(1, sizeof(*subscribers));
    if (subscribers == NULL) {
        abort();
    }
    subscribers->options = options;
    histogram_init(&subscribers->lag_ms, HISTOGRAM_BITS_FINE);
    (void)load_address_read(options->events, &address); /* checked with the options */
    for (; subscribers->count < options->subscribers; subscribers->count++) {
        if (!open_subscriber(&address, &subscribers->all[subscribers->count])) {
            *why = strerror(errno);
            histogram_deinit(&subscribers->lag_ms);
            free(subscribers);
            return NULL;
        }
    }
    if (pthread_create(&subscribers->thread, NULL, subscribers_main, subscribers) != 0) {
        abort();
    }
    return subscribers;
}

static void wait_quiet(load_subscribers_t *subscribers)
{
    const struct timespec pause = {.tv_nsec = QUIET_MS * 1000000L};
    uint64_t before = UINT64_MAX;
    for (int tries = 0; tries < QUIET_TRIES; tries++) {
        const uint64_t now = atomic_load(&subscribers->received);
        if (now == before) {
            return;
        }
        before = now;
        (void)nanosleep(&pause, NULL);
    }
}

void load_subscribers_finish(load_subscribers_t **subscribers, load_events_t *events)
{
    load_subscribers_t *const ended = *subscribers;
    wait_quiet(ended);
    atomic_store(&ended->is_ending, true);
    (void)pthread_join(ended->thread, NULL);
    *events = (load_events_t){.received = atomic_load(&ended->received),
                              .missed = ended->missed,
                              .repeated = ended->repeated,
                              .lost = ended->lost};
    if (ended->lag_ms.count > 0) {
        events->lag_ms_p50 = histogram_percentile(&ended->lag_ms, 0.5);
        events->lag_ms_p99 = histogram_percentile(&ended->lag_ms, 0.99);
        events->lag_ms_max = ended->lag_ms.max;
    }
    for (uint32_t index = 0; index < ended->count; index++) {
        (void)close(ended->all[index].fd);
        load_buffer_deinit(&ended->all[index].in);
    }
    histogram_deinit(&ended->lag_ms);
    free(ended);
    *subscribers = NULL;
}
