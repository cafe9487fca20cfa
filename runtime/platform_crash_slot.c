/* Mapping of crash slots, and the signal handler that notes which thread a fatal signal hit and
 * which actor that thread read. The handler makes async-signal-safe calls only. */
#include "runtime/crash_slot_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALTERNATE_STACK_SIZE = 16384 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { NOTES_SIGNALS = 0 }; /* the sanitizers have handlers of their own, which say more */
#else
enum { NOTES_SIGNALS = 1 };
#endif

/* A signal handler has no other way to find them. Written once, before it is installed. */
static crash_slot_t *signal_slot;
static uint8_t alternate_stack[ALTERNATE_STACK_SIZE];

/* Of each thread; its own handler of a signal is the only other reader. */
static _Thread_local const crash_reading_t *volatile reading_now;

void crash_reading_begin(const crash_reading_t *reading)
{
    atomic_signal_fence(memory_order_seq_cst); /* what it points to is complete */
    reading_now = reading;
}

void crash_reading_end(void)
{
    reading_now = NULL;
}

static crash_slot_t *map(int descriptor)
{
    void *memory =
        mmap(NULL, sizeof(crash_slot_t), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

result_t crash_slot_create(crash_slot_t **slot, int *descriptor)
{
    const int made = memfd_create("digitalcard-crash-slot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    crash_slot_t *mapped = NULL;
    /* Sealed: a role that shrinks it would make the supervisor's reading a SIGBUS. */
    if (made >= 0 && ftruncate(made, (off_t)sizeof *mapped) == 0 &&
        fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        mapped = map(made);
    }
    if (mapped == NULL) {
        if (made >= 0) {
            (void)close(made);
        }
        return RESULT_UNAVAILABLE;
    }
    mapped->mark = CRASH_SLOT_MARK;
    mapped->size = sizeof *mapped;
    *slot = mapped;
    *descriptor = made;
    return RESULT_OK;
}

void crash_slot_destroy(crash_slot_t **slot, int *descriptor)
{
    if (*slot != NULL) {
        (void)munmap(*slot, sizeof **slot);
        (void)close(*descriptor);
        *slot = NULL;
        *descriptor = -1;
    }
}

/* Notes whom the signal hit, then dies of it as if nobody had looked. */
static void fatal_signal(int number, siginfo_t *information, void *context)
{
    (void)context;
    signal_slot->was_sent = information->si_code <= 0 && information->si_pid != getpid();
    signal_slot->crashed_thread = gettid();
    const crash_reading_t *const reading = reading_now;
    if (reading != NULL) {
        crash_slot_note_reading(signal_slot, reading);
    }
    (void)raise(number); /* the handler is reset and the signal not blocked */
}

static void note_signals(crash_slot_t *slot)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    const stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
    struct sigaction action = {.sa_sigaction = fatal_signal,
                               .sa_flags =
                                   SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND | SA_NODEFER};
    signal_slot = slot;
    (void)sigaltstack(&stack, NULL); /* of this thread: its stack may be what ran out */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

crash_slot_t *crash_slot_attach(int descriptor)
{
    struct stat about;
    if (fstat(descriptor, &about) != 0 || about.st_size != (off_t)sizeof(crash_slot_t)) {
        return NULL;
    }
    crash_slot_t *slot = map(descriptor);
    if (slot == NULL || slot->mark != CRASH_SLOT_MARK || slot->size != sizeof *slot) {
        return NULL;
    }
    slot->handler_thread = gettid();
    if (NOTES_SIGNALS) {
        note_signals(slot);
    }
    return slot;
}
