/* The factory: tenants are made through the control store, as in production. */
#include "tests/contract/journal_postgres_place.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/signer/signer.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void place_copy(const control_postgres_place_t *from, journal_postgres_place_t *to)
{
    (void)snprintf(to->database, sizeof to->database, "%s", from->database);
    (void)snprintf(to->role, sizeof to->role, "%s", from->role);
    (void)snprintf(to->password, sizeof to->password, "%s", from->password);
}

static result_t make_journal(const char *url, const control_postgres_place_t *from,
                             uint32_t partitions)
{
    journal_postgres_place_t to;
    place_copy(from, &to);
    return journal_postgres_create_schema(url, &to, partitions);
}

static result_t find(void *context, text_t tenant, journal_postgres_place_t *to)
{
    postgres_place_t *const place = context;
    control_postgres_place_t from;
    const result_t result = control_postgres_find(place->control, tenant, &from);
    if (result == RESULT_OK) {
        place_copy(&from, to);
    }
    return result;
}

void postgres_place_control_open(postgres_place_t *place)
{
    char error[512] = "";
    control_postgres_close(&place->control);
    const control_postgres_options_t options = {.url = place->server.url,
                                                .connect = true,
                                                .create = true,
                                                .make_journal = make_journal,
                                                .crypto = &signer_functions,
                                                .master_key = {{1, 2, 3}}};
    const result_t result = control_postgres_open(&options, error, sizeof error, &place->control);
    if (result != RESULT_OK) {
        (void)fprintf(stderr, "%s\n", error);
    }
    assert(result == RESULT_OK);
}

void postgres_place_create(postgres_place_t *place)
{
    const result_t result = signer_start();
    assert(result == RESULT_OK);
    postgres_server_start(&place->server);
    postgres_place_control_open(place);
}

void postgres_place_remove(postgres_place_t *place)
{
    control_postgres_close(&place->control);
    postgres_server_stop(&place->server);
}

typedef struct names {
    char names[64][LIMIT_TENANT_NAME_SIZE + 1];
    size_t count;
} names_t;

static bool name_keep(void *context, const control_tenant_t *tenant)
{
    names_t *const names = context;
    assert(names->count < 64);
    memcpy(names->names[names->count], tenant->name.data, tenant->name.size);
    names->count++;
    return true;
}

/* Setting a database aside is quick; dropping one makes the server write a checkpoint. */
static void factory_reset(void *context)
{
    postgres_place_t *const place = context;
    const control_store_functions_t *const control = place->control->functions;
    names_t names = {0};
    char kept_as[128];
    result_t result = control->tenants(place->control, TEXT_NONE, name_keep, &names);
    assert(result == RESULT_OK);
    for (size_t i = 0; i < names.count; i++) {
        place->resets++;
        result =
            control->tenant_delete(place->control, text_from_c(names.names[i]),
                                   1700000000000 + place->resets * 1000, kept_as, sizeof kept_as);
        assert(result == RESULT_OK);
    }
}

static journal_t *factory_create(void *context, loop_t *loop)
{
    postgres_place_t *const place = context;
    journal_t *journal = NULL;
    const journal_postgres_options_t options = {.url = place->url[0] == '\0' ? place->server.url
                                                                             : place->url,
                                                .connections = place->connections,
                                                .find = find,
                                                .find_context = place};
    const result_t result = journal_postgres_create(loop, NULL, &options, &journal);
    assert(result == RESULT_OK);
    return journal;
}

static void factory_destroy(void *context, journal_t **journal)
{
    (void)context;
    journal_postgres_destroy(journal);
}

static result_t factory_create_tenant(void *context, text_t tenant, uint32_t partitions)
{
    postgres_place_t *const place = context;
    const control_card_key_t key = {.sealed_secret = TEXT_LITERAL("sealed key")};
    const control_tenant_t made = {.name = tenant,
                                   .partitions = partitions,
                                   .created_at = 1700000000000,
                                   .sealed_secret = TEXT_LITERAL("sealed tenant"),
                                   .keys = &key,
                                   .key_count = 1};
    return place->control->functions->tenant_create(place->control, &made);
}

static result_t factory_retain(void *context, text_t tenant, int64_t before_ms, uint64_t *events)
{
    postgres_place_t *const place = context;
    const journal_postgres_retained_t retained = {.archived_at = before_ms};
    journal_postgres_place_t where;
    journal_postgres_retain_t *retain = NULL;
    result_t result = find(place, tenant, &where);
    if (result == RESULT_OK) {
        result =
            journal_postgres_retain_begin(place->server.url, &where, before_ms, &retain, events);
    }
    if (result == RESULT_OK && *events > 0) {
        return journal_postgres_retain_finish(&retain, &retained);
    }
    journal_postgres_retain_abandon(&retain);
    return result;
}

static bool factory_is_sound(void *context, text_t tenant)
{
    postgres_place_t *const place = context;
    journal_postgres_place_t where;
    char *report = NULL;
    result_t result = find(place, tenant, &where);
    if (result == RESULT_OK) {
        result = journal_postgres_verify(place->server.url, &where, tenant, false, &report);
    }
    if (result != RESULT_OK && report != NULL) {
        (void)fprintf(stderr, "%s\n", report);
    }
    free(report);
    return result == RESULT_OK;
}

journal_contract_factory_t postgres_place_factory(postgres_place_t *place)
{
    return (journal_contract_factory_t){.context = place,
                                        .reset = factory_reset,
                                        .create = factory_create,
                                        .destroy = factory_destroy,
                                        .create_tenant = factory_create_tenant,
                                        .is_sound = factory_is_sound,
                                        .retain = factory_retain};
}
