/* What happens when: a heap in order of time, then of entry. Must not know what happens. */
#include "tests/simulation/process.h"
#include "tests/simulation/world.h"
#include <assert.h>
#include <stdlib.h>

static bool is_before(const agenda_entry_t *a, const agenda_entry_t *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

static void push(agenda_t *agenda, const agenda_entry_t *entry)
{
    if (agenda->count == agenda->capacity) {
        agenda->capacity = agenda->capacity == 0 ? 256 : 2 * agenda->capacity;
        agenda->entries = realloc(agenda->entries, agenda->capacity * sizeof(*agenda->entries));
        assert(agenda->entries != NULL);
    }
    size_t at = agenda->count;
    agenda->count++;
    while (at > 0 && is_before(entry, &agenda->entries[(at - 1) / 2])) {
        agenda->entries[at] = agenda->entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    agenda->entries[at] = *entry;
}

static agenda_entry_t pop(agenda_t *agenda)
{
    const agenda_entry_t first = agenda->entries[0];
    agenda->count--;
    const agenda_entry_t last = agenda->entries[agenda->count];
    size_t at = 0;
    for (size_t child = 1; child < agenda->count; child = 2 * at + 1) {
        if (child + 1 < agenda->count &&
            is_before(&agenda->entries[child + 1], &agenda->entries[child])) {
            child++;
        }
        if (!is_before(&agenda->entries[child], &last)) {
            break;
        }
        agenda->entries[at] = agenda->entries[child];
        at = child;
    }
    agenda->entries[at] = last;
    return first;
}

void payload_free(world_t *world, void *payload)
{
    (void)world;
    free(payload);
}

void agenda_add(world_t *world, uint64_t delay_us, uint32_t owner, agenda_run_t *run,
                agenda_run_t *forget, void *payload)
{
    const agenda_entry_t entry = {.time_us = world->now_us + delay_us,
                                  .order = world->agenda.next_order,
                                  .owner = owner,
                                  .run = run,
                                  .forget = forget,
                                  .payload = payload};
    world->agenda.next_order++;
    push(&world->agenda, &entry);
}

static void finish(world_t *world, const agenda_entry_t *entry)
{
    if (entry->forget != NULL) {
        entry->forget(world, entry->payload);
    }
}

bool agenda_step(world_t *world, uint64_t until_us)
{
    if (world->agenda.count == 0 || world->agenda.entries[0].time_us > until_us) {
        world->now_us = until_us > world->now_us ? until_us : world->now_us;
        return false;
    }
    agenda_entry_t entry = pop(&world->agenda);
    if (entry.time_us > world->now_us) {
        world->now_us = entry.time_us;
    }
    process_t *const process = entry.owner == 0 ? NULL : process_find(world, entry.owner);
    if (entry.owner != 0 && process == NULL) {
        finish(world, &entry);
        return true;
    }
    if (process != NULL && process->paused_until_us > world->now_us) {
        entry.time_us = process->paused_until_us;
        push(&world->agenda, &entry);
        return true;
    }
    world->numbers.events++;
    entry.run(world, entry.payload);
    finish(world, &entry);
    if (process != NULL && process_find(world, entry.owner) == process) {
        process_turn(process);
    }
    return true;
}

void agenda_forget_all(world_t *world)
{
    for (size_t i = 0; i < world->agenda.count; i++) {
        finish(world, &world->agenda.entries[i]);
    }
    free(world->agenda.entries);
    world->agenda = (agenda_t){0};
}
