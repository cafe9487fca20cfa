/* Names, counters and chances that all parts of the load generator use. */
#include "bench/load/load.h"

#include <string.h>
#include <time.h>

const char *const load_scenario_names[LOAD_SCENARIOS] = {
    [LOAD_SCENARIO_VALIDATE] = "validate",   [LOAD_SCENARIO_SCAN] = "scan",
    [LOAD_SCENARIO_LIFECYCLE] = "lifecycle", [LOAD_SCENARIO_MIXED] = "mixed",
    [LOAD_SCENARIO_BULK] = "bulk",           [LOAD_SCENARIO_EVENTS] = "events",
};

const char *const load_action_names[LOAD_ACTIONS] = {
    [LOAD_ISSUE] = "issue",         [LOAD_GET] = "get",           [LOAD_VALIDATE] = "validate",
    [LOAD_SCAN] = "scan",           [LOAD_ACTIVATE] = "activate", [LOAD_SUSPEND] = "suspend",
    [LOAD_REINSTATE] = "reinstate", [LOAD_RENEW] = "renew",       [LOAD_REVOKE] = "revoke",
};

uint64_t load_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * LOAD_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t load_random_next(load_random_t *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = random->state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

double load_random_part(load_random_t *random)
{
    return (double)(load_random_next(random) >> 11) * 0x1p-53;
}

static load_error_kind_t *kind_of(load_tally_t *tally, text_t code)
{
    const size_t size = code.size < LOAD_ERROR_CODE_SIZE ? code.size : LOAD_ERROR_CODE_SIZE - 1;
    for (size_t index = 0; index < tally->kind_count; index++) {
        load_error_kind_t *const kind = &tally->kinds[index];
        if (memcmp(kind->code, code.data, size) == 0 && kind->code[size] == '\0') {
            return kind;
        }
    }
    if (tally->kind_count == LOAD_ERROR_KINDS_MAX) {
        return &tally->kinds[LOAD_ERROR_KINDS_MAX - 1];
    }
    load_error_kind_t *const added = &tally->kinds[tally->kind_count++];
    if (tally->kind_count == LOAD_ERROR_KINDS_MAX) {
        memcpy(added->code, "other", sizeof("other"));
    } else {
        memcpy(added->code, code.data, size);
        added->code[size] = '\0';
    }
    return added;
}

void load_tally_error(load_tally_t *tally, text_t code, uint64_t count)
{
    kind_of(tally, code)->count += count;
    tally->errors += count;
}

void load_tally_wrong(load_tally_t *tally, const char *told)
{
    load_tally_error(tally, TEXT_LITERAL("wrong_answer"), 1);
    tally->wrong++;
    if (tally->wrong_told_count < LOAD_WRONG_TOLD_MAX) {
        char *const room = tally->wrong_told[tally->wrong_told_count++];
        const size_t size = strnlen(told, LOAD_WRONG_SIZE - 1);
        memcpy(room, told, size);
        room[size] = '\0';
    }
}

void load_tally_merge(load_tally_t *into, const load_tally_t *from)
{
    into->good += from->good;
    into->good_in_time += from->good_in_time;
    into->wrong += from->wrong;
    into->unsent += from->unsent;
    into->asked += from->asked;
    for (size_t index = 0; index < from->kind_count; index++) {
        const load_error_kind_t *const kind = &from->kinds[index];
        load_tally_error(into, (text_t){kind->code, strlen(kind->code)}, kind->count);
    }
    for (size_t index = 0;
         index < from->wrong_told_count && into->wrong_told_count < LOAD_WRONG_TOLD_MAX; index++) {
        memcpy(into->wrong_told[into->wrong_told_count++], from->wrong_told[index],
               LOAD_WRONG_SIZE);
    }
}
