/* One batch of one read model: events of one partition, from the feed or from the journal, folded
 * and committed together with the cursor. Must not wait within a call, and must not keep what it
 * opens: names of members live as long as their hashes take. */
#include "actors/relay/name_words.h"
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

typedef struct step {
    relay_model_t *model;
    uint32_t partition;
    uint32_t generation; /* of the model when it began */
    bool checks;         /* the first event read is the one that the cursor names */
    uint64_t from;       /* its events are those after this one, wherever the model is by then */
    projection_fold_t *fold;
    projection_commit_t commit;
    crypto_key_t word_key;
} step_t;

static void end_step(step_t *step, result_t result)
{
    relay_model_t *const model = step->model;
    relay_tenant_t *const tenant = model->tenant;
    relay_t *const relay = tenant->relay;
    const bool is_outdated = step->generation != model->generation;
    if (result == RESULT_OK && !is_outdated && step->commit.to.sequence > 0) {
        model->partitions[step->partition].applied = step->commit.to;
        model->events += projection_fold_count(step->fold);
        metric_add(relay->numbers.folded, projection_fold_count(step->fold));
    }
    projection_fold_destroy(&step->fold);
    relay->ports.crypto->wipe(&step->word_key, sizeof(step->word_key));
    free(step);
    relay->step_count -= 1;
    model->is_stepping = false;
    relay_model_stepped(model, is_outdated ? RESULT_OK : result);
    relay_operation_end(tenant);
}

static const projections_functions_t *functions_of(const step_t *step)
{
    return step->model->tenant->relay->ports.projections->functions;
}

/* --- Commit --- */

static void committed(void *context, result_t result)
{
    end_step(context, result);
}

/* Whether this commit brings the whole model to the head, as far as that is known. */
static bool will_be_complete(const step_t *step)
{
    const relay_model_t *const model = step->model;
    for (uint32_t i = 0; i < model->tenant->partition_count; i++) {
        const uint64_t reached =
            i == step->partition ? step->commit.to.sequence : model->partitions[i].applied.sequence;
        if (reached < model->tenant->partitions[i].committed) {
            return false;
        }
    }
    return true;
}

/* The handle that the step began with is gone: what it would do counts for nothing. */
static bool has_ended_early(step_t *step)
{
    const bool is_outdated = step->generation != step->model->generation;
    if (is_outdated) {
        end_step(step, RESULT_OK);
    }
    return is_outdated;
}

static void fold_and_commit(step_t *step)
{
    relay_model_t *const model = step->model;
    if (has_ended_early(step)) {
        return;
    }
    result_t result = projection_fold_run(step->fold, &step->commit);
    if (result == RESULT_OK) {
        step->commit.from = step->from;
        step->commit.is_complete = model->is_complete || will_be_complete(step);
        result = functions_of(step)->commit(model->handle, &step->commit, committed, step);
    }
    if (result != RESULT_OK) {
        step->commit.to.sequence = 0;
        end_step(step, result);
    }
}

/* --- States of cards --- */

static void cards_loaded(void *context, const projections_loaded_t *loaded)
{
    step_t *const step = context;
    result_t result = loaded->result;
    for (size_t i = 0; result == RESULT_OK && i < loaded->count; i++) {
        result = projection_fold_give_card(step->fold, i, loaded->bodies[i], &loaded->positions[i]);
    }
    if (result == RESULT_OK) {
        fold_and_commit(step);
    } else {
        end_step(step, result);
    }
}

static void load_cards(step_t *step)
{
    size_t count = 0;
    const uuid_t *const cards = projection_fold_cards(step->fold, &count);
    if (count == 0) {
        fold_and_commit(step);
        return;
    }
    if (has_ended_early(step)) {
        return;
    }
    const result_t result =
        functions_of(step)->load(step->model->handle, cards, count, cards_loaded, step);
    if (result != RESULT_OK) {
        end_step(step, result);
    }
}

/* --- Words of names --- */

typedef struct names {
    step_t *step;
    const text_t *members;
    const journal_member_keys_t *keys;
    size_t at; /* members come in the order of the events */
} names_t;

static uint32_t hash_name(void *context, text_t member_id, text_t sealed_name,
                          uint64_t hashes[LIMIT_NAME_WORDS])
{
    names_t *const names = context;
    while (names->at < names->keys->count && !text_equal(names->members[names->at], member_id)) {
        names->at += 1;
    }
    assert(names->at < names->keys->count);
    const step_t *const step = names->step;
    const relay_tenant_t *const tenant = step->model->tenant;
    const crypto_functions_t *const crypto = tenant->relay->ports.crypto;
    char plain[SECRET_NAME_SIZE_MAX];
    card_state_t state = {0};
    MESSAGE_SET(card_snapshot, &state, member_id, member_id);
    MESSAGE_SET(card_snapshot, &state, sealed_name, sealed_name);
    const text_t name = relay_open_name(tenant, &state, names->keys->sealed_keys[names->at], plain);
    const uint32_t count =
        text_is_empty(name) ? 0 : name_words_hash(crypto, &step->word_key, name, hashes);
    crypto->wipe(plain, sizeof(plain));
    return count;
}

static void keys_read(void *context, const journal_member_keys_t *keys)
{
    step_t *const step = context;
    if (keys->result != RESULT_OK) {
        end_step(step, keys->result);
        return;
    }
    size_t count = 0;
    names_t names = {
        .step = step, .members = projection_fold_members(step->fold, &count), .keys = keys};
    assert(count == keys->count);
    projection_fold_give_words(step->fold, hash_name, &names);
    load_cards(step);
}

static void read_keys(step_t *step)
{
    relay_tenant_t *const tenant = step->model->tenant;
    const relay_ports_t *const ports = &tenant->relay->ports;
    size_t count = 0;
    projection_fold_prepare(step->fold);
    const text_t *const members = projection_fold_members(step->fold, &count);
    if (count == 0) {
        load_cards(step);
        return;
    }
    result_t result = relay_tenant_load_secrets(tenant);
    if (result == RESULT_OK) {
        secret_name_word_key(ports->crypto, &tenant->secrets.tenant_secret,
                             relay_tenant_name(tenant), &step->word_key);
        result = ports->journal->functions->read_member_keys(tenant->journal, members, count,
                                                             keys_read, step);
    }
    if (result != RESULT_OK) {
        end_step(step, result);
    }
}

/* --- Events --- */

/* The journal has another event where the cursor stands: a backup was restored. */
static bool is_same_history(const step_t *step, const journal_events_t *events)
{
    const projection_cursor_t *const applied = &step->model->partitions[step->partition].applied;
    return events->event_count > 0 && events->events[0].sequence == applied->sequence &&
           uuid_equal(&events->events[0].event_id, &applied->event_id);
}

static void events_fold(const step_t *step, const journal_events_t *events, size_t from)
{
    uint64_t last = step->model->partitions[step->partition].applied.sequence;
    for (size_t i = from; i < events->event_count; i++) {
        const event_t *const event = &events->events[i];
        const bool follows = event->sequence == last + 1 || last < events->archived_to;
        if (!follows || !projection_fold_add(step->fold, event)) {
            break;
        }
        last = event->sequence;
    }
}

/* Validations behind the cursor are gone, and nobody has looked yet whether it is so because the
 * model has them as sums. */
static bool lacks_archived(const relay_model_partition_t *partition, const journal_events_t *events)
{
    return partition->applied.sequence < events->archived_to &&
           partition->archived_to != events->archived_to;
}

/* The next step goes on, when it is good. */
static void archived_checked(void *context, result_t result)
{
    end_step(context, result);
}

static void events_read(void *context, const journal_events_t *events)
{
    step_t *const step = context;
    relay_model_t *const model = step->model;
    relay_model_partition_t *const partition = &model->partitions[step->partition];
    if (events->result != RESULT_OK) {
        end_step(step, events->result);
        return;
    }
    relay_models_hear(model->tenant, step->partition, events->head);
    if (has_ended_early(step)) {
        return;
    }
    /* The event of the cursor may be gone: then nothing speaks against it. */
    const uint64_t applied = partition->applied.sequence;
    const bool is_there = events->event_count > 0 && events->events[0].sequence == applied;
    const bool is_archived = step->checks && !is_there && applied <= events->archived_to;
    if (step->checks && !is_archived && !is_same_history(step, events)) {
        log_warn("read models are of another history than the journal, and made anew from it",
                 LOG_TEXT("tenant", model->tenant->name, model->tenant->name_size),
                 LOG_NUMBER("partition", step->partition),
                 LOG_NUMBER("sequence", partition->applied.sequence));
        end_step(step, RESULT_STORE_CORRUPT);
        return;
    }
    partition->is_checked = true;
    if (lacks_archived(partition, events)) {
        const result_t result = relay_archived_check(model, step->partition, events->archived_to,
                                                     archived_checked, step);
        if (result != RESULT_OK) {
            end_step(step, result);
        }
        return;
    }
    events_fold(step, events, step->checks && is_there ? 1 : 0);
    if (projection_fold_count(step->fold) == 0) {
        /* There is no more, whatever was told: the journal decides. */
        model->tenant->partitions[step->partition].committed = events->head;
        end_step(step, RESULT_OK);
        return;
    }
    read_keys(step);
}

static void read_journal(step_t *step)
{
    relay_tenant_t *const tenant = step->model->tenant;
    const relay_model_partition_t *const partition = &step->model->partitions[step->partition];
    const uint64_t applied = partition->applied.sequence;
    step->checks = applied > 0 && !partition->is_checked;
    const result_t result = tenant->relay->ports.journal->functions->read_events(
        tenant->journal, step->partition, step->checks ? applied - 1 : applied,
        LIMIT_PROJECTION_EVENTS, events_read, step);
    if (result != RESULT_OK) {
        end_step(step, result);
    }
}

/* The next partition with something to do, in turn; LIMIT_PARTITIONS when there is none. */
static uint32_t choose_partition(relay_model_t *model)
{
    const relay_tenant_t *const tenant = model->tenant;
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        const uint32_t number = (model->turn + i) % tenant->partition_count;
        const relay_model_partition_t *const partition = &model->partitions[number];
        const bool is_unchecked = partition->applied.sequence > 0 && !partition->is_checked;
        if (is_unchecked || partition->applied.sequence < tenant->partitions[number].committed) {
            model->turn = number + 1;
            return number;
        }
    }
    return LIMIT_PARTITIONS;
}

void relay_model_step(relay_model_t *model)
{
    relay_tenant_t *const tenant = model->tenant;
    relay_t *const relay = tenant->relay;
    if (model->handle == NULL || model->is_stepping || relay->is_draining || tenant->is_retired ||
        tenant->models->rebuild == RELAY_REBUILD_SWITCHING ||
        relay->step_count >= LIMIT_PROJECTION_STEPS ||
        tenant->journal_state != RELAY_JOURNAL_OPEN || loop_now_ms(relay->loop) < model->retry_ms) {
        return;
    }
    const uint32_t number = choose_partition(model);
    if (number == LIMIT_PARTITIONS || relay_archived_step(model)) {
        return;
    }
    step_t *const step = calloc(1, sizeof(*step));
    projection_fold_t *fold = step == NULL ? NULL : projection_fold_create(number);
    if (fold == NULL) {
        free(step);
        return; /* the next tick tries again */
    }
    const relay_model_partition_t *const partition = &model->partitions[number];
    *step = (step_t){.model = model,
                     .partition = number,
                     .generation = model->generation,
                     .from = partition->applied.sequence,
                     .fold = fold};
    model->is_stepping = true;
    relay->step_count += 1;
    relay_operation_begin(tenant);
    const bool is_fed = model->is_live &&
                        (partition->applied.sequence == 0 || partition->is_checked) &&
                        relay_feed_take(tenant, number, partition->applied.sequence, fold);
    if (is_fed) {
        read_keys(step);
    } else {
        read_journal(step);
    }
}
