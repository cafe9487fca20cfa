/* What tenants and token keys there are: asked of shard 0, page by page, put together aside and
 * swapped in when complete. While shard 0 is down the last known ones stay in force. Must not trust
 * the order or the number of what a page brings. */
#include "actors/gateway/gateway_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

enum { TENANTS_PER_PAGE = 1000 }; /* directory.tenants */

static text_t name_of(const gateway_tenant_t *tenant)
{
    return (text_t){.data = tenant->name, .size = tenant->name_size};
}

static int compare_names(text_t a, text_t b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : (a.size > b.size ? 1 : 0);
}

static void forget(gateway_tenants_t *tenants)
{
    free(tenants->entries);
    free(tenants->key_texts);
    *tenants = (gateway_tenants_t){0};
}

void gateway_directory_init(gateway_t *gateway)
{
    gateway->directory = (gateway_directory_t){0};
}

void gateway_directory_deinit(gateway_t *gateway)
{
    forget(&gateway->directory.current);
    forget(&gateway->directory.next);
}

const gateway_tenant_t *gateway_directory_find(const gateway_t *gateway, text_t name)
{
    const gateway_tenants_t *tenants = &gateway->directory.current;
    size_t low = 0;
    size_t high = tenants->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_names(name, name_of(&tenants->entries[middle]));
        if (order == 0) {
            return &tenants->entries[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static size_t pack_question(const gateway_t *gateway, text_t after, uint64_t correlation,
                            const char *traceparent, uint8_t *out, size_t capacity)
{
    directory_get_t question = {0};
    const uint64_t known_version =
        gateway->directory.asks_all ? 0 : gateway->directory.current.version;
    MESSAGE_SET(directory_get, &question, known_version, known_version);
    if (!text_is_empty(after)) {
        MESSAGE_SET(directory_get, &question, after, after);
    }
    uint8_t body[128];
    const size_t body_size =
        message_pack(&directory_get_message, &question, MESSAGE_KEYS_IDS, body, sizeof(body));
    assert(body_size <= sizeof(body));
    envelope_t envelope = {0};
    request_t *request = &envelope.request;
    MESSAGE_SET(request, request, correlation, correlation);
    MESSAGE_SET(request, request, type, request_type_directory_get);
    MESSAGE_SET(request, request, tenant, TEXT_LITERAL("directory"));
    MESSAGE_SET(request, request, partition, 0);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("front"));
    MESSAGE_SET(request, request, role, role_platform_admin);
    MESSAGE_SET(request, request, deadline_ms, LIMIT_DIRECTORY_TIMEOUT_MS);
    MESSAGE_SET(request, request, traceparent,
                ((text_t){.data = traceparent, .size = GATEWAY_TRACEPARENT_SIZE}));
    MESSAGE_SET(request, request, body, ((text_t){.data = (const char *)body, .size = body_size}));
    MESSAGE_MARK(envelope, &envelope, request);
    return message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, out, capacity);
}

static void ask(gateway_t *gateway, text_t after)
{
    gateway_directory_t *directory = &gateway->directory;
    directory->is_asking = false;
    if (gateway->peers[0].state != GATEWAY_PEER_UP) {
        return;
    }
    char traceparent[GATEWAY_TRACEPARENT_SIZE];
    gateway_traceparent(gateway, TEXT_NONE, traceparent);
    directory->generation += 1;
    uint8_t envelope[512];
    const size_t size = pack_question(
        gateway, after, (uint64_t)directory->generation << 16 | GATEWAY_DIRECTORY_SLOT, traceparent,
        envelope, sizeof(envelope));
    assert(size <= sizeof(envelope));
    if (gateway->ports.send(gateway->ports.send_context, GATEWAY_SHARD, 0, envelope, size) ==
        RESULT_OK) {
        directory->is_asking = true;
        directory->asked_at_ms = loop_now_ms(gateway->loop);
    }
}

static void ask_from_start(gateway_t *gateway)
{
    forget(&gateway->directory.next);
    ask(gateway, TEXT_NONE);
}

void gateway_directory_ask_all(gateway_t *gateway)
{
    gateway->directory.asks_all = true;
    ask_from_start(gateway);
}

void gateway_directory_poll(gateway_t *gateway)
{
    const gateway_directory_t *directory = &gateway->directory;
    const uint64_t waited_ms = loop_now_ms(gateway->loop) - directory->asked_at_ms;
    if (!directory->is_asking || waited_ms >= LIMIT_DIRECTORY_TIMEOUT_MS) {
        ask_from_start(gateway);
    }
}

static bool reserve(gateway_tenants_t *tenants, size_t added)
{
    const size_t needed = tenants->count + added;
    if (needed > LIMIT_DIRECTORY_TENANTS) {
        log_error("there are more tenants than one front keeps: the later names are not served",
                  LOG_NUMBER("tenants_max", LIMIT_DIRECTORY_TENANTS));
        return false;
    }
    if (needed <= tenants->capacity) {
        return true;
    }
    const size_t capacity = tenants->capacity == 0 ? needed : needed + TENANTS_PER_PAGE;
    gateway_tenant_t *entries = realloc(tenants->entries, capacity * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    tenants->entries = entries;
    tenants->capacity = capacity;
    return true;
}

/* False when the names are not in order or cannot be: the search would miss tenants. */
static bool add_tenants(gateway_tenants_t *tenants, const directory_t *page)
{
    for (size_t i = 0; i < page->tenants_count; i++) {
        const directory_tenant_t *tenant = &page->tenants[i];
        const bool is_possible = tenant->name.size > 0 &&
                                 tenant->name.size <= LIMIT_TENANT_NAME_SIZE &&
                                 tenant->partitions > 0 && tenant->partitions <= LIMIT_PARTITIONS;
        if (!is_possible ||
            (tenants->count > 0 &&
             compare_names(name_of(&tenants->entries[tenants->count - 1]), tenant->name) >= 0)) {
            log_error("the directory of tenants is not in order: keeping the one before",
                      LOG_TEXT("tenant", tenant->name.data, tenant->name.size));
            return false;
        }
        gateway_tenant_t *entry = &tenants->entries[tenants->count];
        *entry = (gateway_tenant_t){.name_size = (uint8_t)tenant->name.size,
                                    .partitions = (uint8_t)tenant->partitions,
                                    .created_at_ms = (int64_t)tenant->created_at};
        memcpy(entry->name, tenant->name.data, tenant->name.size);
        tenants->count += 1;
    }
    return true;
}

static text_t keep_text(gateway_tenants_t *tenants, text_t text)
{
    char *kept = tenants->key_texts + tenants->key_texts_size;
    memcpy(kept, text.data, text.size);
    tenants->key_texts_size += text.size;
    return (text_t){.data = kept, .size = text.size};
}

static bool keep_keys(gateway_tenants_t *tenants, const directory_t *page)
{
    size_t size = 1; /* malloc(0) may be NULL */
    for (size_t i = 0; i < page->token_keys_count; i++) {
        size += page->token_keys[i].kid.size + page->token_keys[i].jwk.size;
    }
    tenants->key_texts = malloc(size);
    if (tenants->key_texts == NULL) {
        return false;
    }
    for (size_t i = 0; i < page->token_keys_count && i < LIMIT_DIRECTORY_TOKEN_KEYS; i++) {
        directory_token_key_t *key = &tenants->keys[i];
        *key = (directory_token_key_t){0};
        MESSAGE_SET(directory_token_key, key, kid, keep_text(tenants, page->token_keys[i].kid));
        MESSAGE_SET(directory_token_key, key, jwk, keep_text(tenants, page->token_keys[i].jwk));
        tenants->key_count += 1;
    }
    return true;
}

static bool keys_are_equal(const gateway_tenants_t *a, const gateway_tenants_t *b)
{
    if (a->key_count != b->key_count) {
        return false;
    }
    for (size_t i = 0; i < a->key_count; i++) {
        if (!text_equal(a->keys[i].kid, b->keys[i].kid) ||
            !text_equal(a->keys[i].jwk, b->keys[i].jwk)) {
            return false;
        }
    }
    return true;
}

static void swap_in(gateway_t *gateway)
{
    gateway_directory_t *directory = &gateway->directory;
    const bool has_same_keys =
        directory->is_loaded && keys_are_equal(&directory->current, &directory->next);
    forget(&directory->current);
    directory->current = directory->next;
    directory->next = (gateway_tenants_t){0};
    directory->is_loaded = true;
    directory->asks_all = false;
    if (!has_same_keys) {
        tokens_t *tokens = gateway->ports.tokens;
        const result_t result = tokens->functions->set_keys(tokens, directory->current.keys,
                                                            directory->current.key_count);
        if (result != RESULT_OK) {
            log_error("a token key cannot be used: tokens that it signed are refused",
                      LOG_STRING("code", result_code(result)));
        }
    }
}

/* False when what was gathered is of no use. */
static bool add_page(gateway_t *gateway, const directory_t *page)
{
    gateway_tenants_t *next = &gateway->directory.next;
    const bool is_first = next->key_texts == NULL;
    if (is_first) {
        next->version = page->version;
        if (!keep_keys(next, page)) {
            return false;
        }
        if (gateway->ports.revoked != NULL) { /* not to wait for the last page */
            revoked_tokens_set(gateway->ports.revoked, page->revoked, page->revoked_count);
        }
    } else if (page->version != next->version) {
        return false; /* changed between two pages: the next poll begins anew */
    }
    return reserve(next, page->tenants_count) && add_tenants(next, page);
}

static void receive_page(gateway_t *gateway, const directory_t *page)
{
    gateway_directory_t *directory = &gateway->directory;
    if (page->unchanged) {
        return;
    }
    if (!add_page(gateway, page)) {
        forget(&directory->next);
        return;
    }
    const gateway_tenants_t *next = &directory->next;
    if (page->more && page->tenants_count > 0) {
        ask(gateway, name_of(&next->entries[next->count - 1]));
        return;
    }
    swap_in(gateway);
}

void gateway_directory_receive(gateway_t *gateway, const reply_t *reply)
{
    gateway_directory_t *directory = &gateway->directory;
    if (!directory->is_asking || reply->correlation >> 16 != directory->generation) {
        return;
    }
    directory->is_asking = false;
    if (reply->outcome != outcome_ok) {
        forget(&directory->next);
        return; /* the next poll asks again */
    }
    arena_t arena = {.base = malloc(LIMIT_DOCUMENT_ARENA_SIZE), .size = LIMIT_DOCUMENT_ARENA_SIZE};
    if (arena.base == NULL) {
        return;
    }
    directory_t page;
    message_fault_t fault;
    if (message_unpack(&directory_message, MESSAGE_KEYS_IDS, (const uint8_t *)reply->body.data,
                       reply->body.size, &arena, &page, &fault)) {
        receive_page(gateway, &page);
    } else {
        metric_add(gateway->numbers.undecodable, 1);
        log_warn("the directory of tenants cannot be read", LOG_STRING("detail", fault.detail));
    }
    free(arena.base);
}

/* Appends what fits and counts all of it. */
static size_t append(char *out, size_t capacity, size_t at, text_t text)
{
    if (at < capacity && text.size <= capacity - at) {
        memcpy(out + at, text.data, text.size);
    }
    return at + text.size;
}

size_t gateway_jwks(const gateway_t *gateway, char *out, size_t capacity)
{
    const gateway_tenants_t *tenants = &gateway->directory.current;
    size_t size = append(out, capacity, 0, TEXT_LITERAL("{\"keys\":["));
    for (size_t i = 0; i < tenants->key_count; i++) {
        if (i > 0) {
            size = append(out, capacity, size, TEXT_LITERAL(","));
        }
        size = append(out, capacity, size, tenants->keys[i].jwk);
    }
    return append(out, capacity, size, TEXT_LITERAL("]}"));
}
