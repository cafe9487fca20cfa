/* Processes as the supervisor sees them: start, signal, wait, and what the kernel knows of one. The
 * implementation is the only place that forks. */
#ifndef RUNTIME_PLATFORM_PROCESS_H
#define RUNTIME_PLATFORM_PROCESS_H

#include "runtime/loop.h"
#include <stddef.h>

enum {
    PROCESS_DESCRIPTOR_FIRST = 3, /* what is handed down stands at 3, 4, … in the child */
    PROCESS_DESCRIPTORS_MAX = 6,  /* the link, up to four listening sockets, the crash slot */
    PROCESS_EXIT_TEXT_SIZE = 64,
    PROCESS_OOM_PATH_SIZE = 4096,
};

typedef struct process_start {
    const char *const *arguments; /* argv, argv[0] included, NULL at the end */
    const int *descriptors;       /* nothing else stays open but 0, 1 and 2 */
    size_t descriptor_count;      /* up to PROCESS_DESCRIPTORS_MAX */
    int program;                  /* of process_program_open; -1: this same binary */
    const char *const *withheld;  /* names of variables of our environment that it does not get,
                                   * NULL at the end; NULL: it gets them all */
} process_start_t;

/* Where this program was started from, absolute, links not followed: what stands there later may be
 * a newer one. Asked at the start, before anybody changes the directory. False: it cannot be known.
 */
bool process_program_path(char *out, size_t capacity);
/* Opens a program for process_start, so that every later start gets the same one whatever happens
 * to the file. MISSING, PERMISSION_DENIED when it cannot be executed. */
MUST_USE result_t process_program_open(const char *path, int *program);

/* Forks and executes the program. The child is killed by the kernel when the calling thread
 * ends, ignores SIGINT (a Ctrl-C reaches the whole terminal group, and only the supervisor decides
 * what it means) and has no signal blocked. UNAVAILABLE when the system has no more processes. */
MUST_USE result_t process_start(const process_start_t *start, int64_t *pid);
typedef enum process_end {
    PROCESS_END_OTHER,   /* by itself, by a signal that is none of the below, or unseen */
    PROCESS_END_CRASHED, /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT */
    PROCESS_END_KILLED,  /* SIGKILL: by us, by the kernel for want of memory, or by an operator */
} process_end_t;

/* True when the process has ended; then `text` says how: "exited with status 1", "killed by
 * SIGKILL". Collects it: the pid is free afterwards. Never blocks. */
bool process_has_ended(int64_t pid, char text[PROCESS_EXIT_TEXT_SIZE], process_end_t *end);

/* Where the kernel counts its out-of-memory kills: of this process's control group, else of the
 * machine. */
typedef struct process_oom {
    char path[PROCESS_OOM_PATH_SIZE];
} process_oom_t;
void process_oom_find(process_oom_t *oom);
uint64_t process_oom_kills(const process_oom_t *oom); /* so far; 0 when nobody counts */
void process_kill(int64_t pid);                       /* at once: it cannot catch this */
/* Two connected, close-on-exec stream sockets. */
MUST_USE result_t process_socket_pair(int descriptors[2]);
void process_close(int descriptor);
int64_t process_self(void);

/* What the kernel says of a process; members it does not tell are 0. */
typedef struct process_numbers {
    uint64_t resident_bytes;
    uint64_t proportional_bytes; /* shared pages divided by those who share them */
    uint64_t cpu_ms;             /* user and system time since its start */
    char state;                  /* of its first thread, as ps shows it: R, S, D, T */
} process_numbers_t;
void process_numbers(int64_t pid, process_numbers_t *numbers);
/* The same without memory, which the kernel has to add up. */
void process_times(int64_t pid, process_numbers_t *numbers);

/* Once at the start of every role and of the supervisor: a closed peer and a file at the limit
 * of its size are errors of the write, not a death, SIGUSR1 and SIGUSR2 mean nothing, the soft
 * limit of descriptors rises to the hard one, and no core is dumped. */
void process_prepare(void);

/* What this process may be told from outside. */
typedef enum process_notice {
    PROCESS_NOTICE_CHILD,     /* SIGCHLD: a child ended */
    PROCESS_NOTICE_TERMINATE, /* SIGTERM */
    PROCESS_NOTICE_INTERRUPT, /* SIGINT */
    PROCESS_NOTICE_RELOAD,    /* SIGHUP */
    PROCESS_NOTICES,
} process_notice_t;

/* Calls back on the loop's thread for each of these. */
typedef struct process_signals process_signals_t;
typedef void process_notice_callback_t(void *context, process_notice_t notice);
MUST_USE result_t process_signals_create(loop_t *loop, const process_notice_t *notices,
                                         size_t count, process_notice_callback_t *callback,
                                         void *context, process_signals_t **signals);
void process_signals_destroy(process_signals_t **signals);

#endif
