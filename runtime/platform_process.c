/* fork, exec, waitpid, signals and /proc. It decides nothing: when to start and what an end means
 * is the supervisor's. Between fork and exec only async-signal-safe calls are made. */
#include "runtime/platform_process.h"

#include "runtime/limits.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { DESCRIPTOR_SAFE_MIN = 64, EXIT_EXEC_FAILED = 127, CORE_SIZE_REFUSED = 1 };

/* libuv's handlers write into a pipe that parent and child share until exec: they must not run in
 * the child, so they go before the mask is opened again. */
static void child_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGPIPE, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool child_place_descriptors(const int *descriptors, size_t count)
{
    int moved[PROCESS_DESCRIPTORS_MAX];
    for (size_t i = 0; i < count; i++) { /* out of the way of each other's target first */
        moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, DESCRIPTOR_SAFE_MIN);
        if (moved[i] < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (dup2(moved[i], PROCESS_DESCRIPTOR_FIRST + (int)i) < 0) {
            return false;
        }
    }
    /* Ours are all close-on-exec; this catches what a library opened without it. */
    (void)close_range(PROCESS_DESCRIPTOR_FIRST + (unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC);
    return true;
}

static bool is_one_of(const char *variable, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) { /* as many as the caller declared */
        const size_t size = strlen(names[i]);
        if (strncmp(variable, names[i], size) == 0 && variable[size] == '=') {
            return true;
        }
    }
    return false;
}

/* In the child alone, whose environment is a copy. */
static void child_withhold(const char *const *names)
{
    char **kept = environ;
    for (char **variable = environ; *variable != NULL; variable++) { /* the kernel bounds them */
        if (!is_one_of(*variable, names)) {
            *kept = *variable;
            kept++;
        }
    }
    *kept = NULL;
}

static _Noreturn void child_run(const process_start_t *start, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* it died before the line above could say so */
        _exit(EXIT_EXEC_FAILED);
    }
    child_reset_signals();
    if (start->withheld != NULL && environ != NULL) {
        child_withhold(start->withheld);
    }
    if (child_place_descriptors(start->descriptors, start->descriptor_count)) {
        if (start->program >= 0) {
            (void)fexecve(start->program, (char *const *)start->arguments, environ);
        } else {
            (void)execv("/proc/self/exe", (char *const *)start->arguments);
        }
    }
    _exit(EXIT_EXEC_FAILED);
}

result_t process_start(const process_start_t *start, int64_t *pid)
{
    assert(start->descriptor_count <= PROCESS_DESCRIPTORS_MAX);
    const pid_t parent = getpid();
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t child = fork();
    if (child == 0) {
        child_run(start, parent);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        return RESULT_UNAVAILABLE;
    }
    *pid = child;
    return RESULT_OK;
}

bool process_program_path(char *out, size_t capacity)
{
    /* /proc/self/exe would name the file behind a link, and upgrades often turn the link. */
    const char *given = (const char *)getauxval(AT_EXECFN);
    char directory[LIMIT_PROGRAM_PATH_SIZE];
    int size = -1;
    if (given != NULL && given[0] == '/') {
        size = snprintf(out, capacity, "%s", given);
    } else if (given != NULL && getcwd(directory, sizeof directory) != NULL) {
        size = snprintf(out, capacity, "%s/%s", directory, given);
    }
    return size > 0 && (size_t)size < capacity;
}

result_t process_program_open(const char *path, int *program)
{
    const int opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0) {
        return errno == ENOENT ? RESULT_MISSING : RESULT_PERMISSION_DENIED;
    }
    /* Above the descriptors that a child puts in place before it executes. */
    *program = fcntl(opened, F_DUPFD_CLOEXEC, DESCRIPTOR_SAFE_MIN);
    (void)close(opened);
    if (*program < 0) {
        return RESULT_UNAVAILABLE;
    }
    if (faccessat(*program, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) != 0) {
        process_close(*program);
        *program = -1;
        return RESULT_PERMISSION_DENIED;
    }
    return RESULT_OK;
}

static void describe_exit(int status, char text[PROCESS_EXIT_TEXT_SIZE])
{
    if (WIFEXITED(status)) {
        (void)snprintf(text, PROCESS_EXIT_TEXT_SIZE, "exited with status %d", WEXITSTATUS(status));
        return;
    }
    const int number = WTERMSIG(status);
    const char *name = sigabbrev_np(number);
    (void)snprintf(text, PROCESS_EXIT_TEXT_SIZE, "killed by SIG%s%s", name == NULL ? "?" : name,
                   WCOREDUMP(status) ? " (core dumped)" : "");
}

static process_end_t end_of(int status)
{
    if (!WIFSIGNALED(status)) {
        return PROCESS_END_OTHER;
    }
    switch (WTERMSIG(status)) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT:
        return PROCESS_END_CRASHED;
    case SIGKILL:
        return PROCESS_END_KILLED;
    default:
        return PROCESS_END_OTHER;
    }
}

bool process_has_ended(int64_t pid, char text[PROCESS_EXIT_TEXT_SIZE], process_end_t *end)
{
    int status = 0;
    *end = PROCESS_END_OTHER;
    pid_t ended = -1;
    do {
        ended = waitpid((pid_t)pid, &status, WNOHANG);
    } while (ended < 0 && errno == EINTR);
    if (ended == 0) {
        return false;
    }
    if (ended < 0) {
        (void)snprintf(text, PROCESS_EXIT_TEXT_SIZE, "ended unseen");
        return true;
    }
    describe_exit(status, text);
    *end = end_of(status);
    return true;
}

void process_kill(int64_t pid)
{
    assert(pid > 1);
    (void)kill((pid_t)pid, SIGKILL);
}

result_t process_socket_pair(int descriptors[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors) != 0) {
        return RESULT_UNAVAILABLE;
    }
    return RESULT_OK;
}

void process_close(int descriptor)
{
    (void)close(descriptor);
}

int64_t process_self(void)
{
    return getpid();
}

/* --- Kills for want of memory --- */

/* The line of the unified hierarchy: "0::/system.slice/digitalcard.service". */
static bool own_control_group(char path[PROCESS_OOM_PATH_SIZE])
{
    char line[PROCESS_OOM_PATH_SIZE / 2];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strncmp(line, "0::/", 4) == 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!found) {
        return false;
    }
    const int size = snprintf(path, PROCESS_OOM_PATH_SIZE, "/sys/fs/cgroup%s%smemory.events",
                              line + 3, line[4] == '\0' ? "" : "/");
    return size > 0 && access(path, R_OK) == 0;
}

void process_oom_find(process_oom_t *oom)
{
    if (!own_control_group(oom->path)) {
        (void)snprintf(oom->path, sizeof oom->path, "/proc/vmstat");
    }
}

uint64_t process_oom_kills(const process_oom_t *oom)
{
    static const char name[] = "oom_kill ";
    char line[256];
    uint64_t kills = 0;
    FILE *file = fopen(oom->path, "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, sizeof name - 1) == 0) {
            kills = strtoull(line + sizeof name - 1, NULL, 10);
        }
    }
    (void)fclose(file);
    return kills;
}

static uint64_t line_kib(const char *line, const char *name)
{
    const size_t size = strlen(name);
    if (strncmp(line, name, size) != 0) {
        return 0;
    }
    return strtoull(line + size, NULL, 10) * 1024U;
}

static void read_memory(int64_t pid, process_numbers_t *numbers)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        numbers->resident_bytes += line_kib(line, "Rss:");
        numbers->proportional_bytes += line_kib(line, "Pss:");
    }
    (void)fclose(file);
}

static void read_cpu(int64_t pid, process_numbers_t *numbers)
{
    char path[64];
    char line[1024];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    const size_t size = fread(line, 1, sizeof line - 1, file);
    (void)fclose(file);
    line[size] = '\0';
    const char *after_name = strrchr(line, ')'); /* a name may hold blanks and brackets */
    uint64_t user = 0;
    uint64_t system = 0;
    if (after_name != NULL &&
        sscanf(after_name, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &numbers->state, &user, &system) == 3) {
        numbers->cpu_ms = (user + system) * 1000U / (uint64_t)sysconf(_SC_CLK_TCK);
    }
}

void process_times(int64_t pid, process_numbers_t *numbers)
{
    *numbers = (process_numbers_t){0};
    read_cpu(pid, numbers);
}

void process_numbers(int64_t pid, process_numbers_t *numbers)
{
    *numbers = (process_numbers_t){0};
    read_memory(pid, numbers);
    read_cpu(pid, numbers);
}

/* A core would hold the master key and personal data in clear. One byte instead of none: the
 * kernel hands a core to a program in core_pattern whatever the limit is, unless it is exactly 1,
 * and refuses a file of one byte as too small. Children inherit it; where the hard limit was 0
 * already it stays so. PR_SET_DUMPABLE is left alone: without it /proc/PID is root's, and a
 * supervisor that is not root could not read the memory of its children (smaps_rollup). */
static void forbid_core_dumps(void)
{
    const struct rlimit limit = {.rlim_cur = CORE_SIZE_REFUSED, .rlim_max = CORE_SIZE_REFUSED};
    (void)setrlimit(RLIMIT_CORE, &limit);
}

void process_prepare(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* the write says EFBIG */
    /* What scripts send after they have rotated logs: we write to whoever started us, and both
     * would end the process. */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    forbid_core_dumps();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static const int notice_signals[PROCESS_NOTICES] = {[PROCESS_NOTICE_CHILD] = SIGCHLD,
                                                    [PROCESS_NOTICE_TERMINATE] = SIGTERM,
                                                    [PROCESS_NOTICE_INTERRUPT] = SIGINT,
                                                    [PROCESS_NOTICE_RELOAD] = SIGHUP};

struct process_signals {
    process_notice_callback_t *callback;
    void *context;
    size_t count; /* open handles */
    uv_signal_t handles[PROCESS_NOTICES];
};

static void signal_seen(uv_signal_t *handle, int number)
{
    process_signals_t *signals = handle->data;
    for (int notice = 0; notice < PROCESS_NOTICES; notice++) {
        if (notice_signals[notice] == number) {
            signals->callback(signals->context, (process_notice_t)notice);
            return;
        }
    }
}

result_t process_signals_create(loop_t *loop, const process_notice_t *notices, size_t count,
                                process_notice_callback_t *callback, void *context,
                                process_signals_t **signals)
{
    assert(count <= PROCESS_NOTICES);
    process_signals_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->callback = callback;
    created->context = context;
    created->count = count;
    bool watching = true;
    for (size_t i = 0; i < count; i++) {
        uv_signal_t *handle = &created->handles[i];
        const int initialised = uv_signal_init(loop_uv(loop), handle);
        assert(initialised == 0);
        handle->data = created;
        watching =
            watching && uv_signal_start(handle, signal_seen, notice_signals[notices[i]]) == 0;
    }
    if (!watching) {
        process_signals_destroy(&created);
        return RESULT_UNAVAILABLE;
    }
    *signals = created;
    return RESULT_OK;
}

static void signal_closed(uv_handle_t *handle)
{
    process_signals_t *signals = handle->data;
    signals->count--;
    if (signals->count == 0) {
        free(signals);
    }
}

void process_signals_destroy(process_signals_t **signals)
{
    if (*signals == NULL) {
        return;
    }
    const size_t count = (*signals)->count;
    for (size_t i = 0; i < count; i++) {
        uv_close((uv_handle_t *)&(*signals)->handles[i], signal_closed);
    }
    *signals = NULL;
}
