/* Starting and ending PostgreSQL. initdb and postgres refuse root: then they run as the user
 * `postgres` of the package. */
#include "tests/support/postgres_server.h"
#include "tests/support/directory.h"
#include "tests/support/free_port.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BINARIES "/usr/lib/postgresql/15/bin/"
enum { READY_TRIES = 1500, READY_WAIT_MS = 20 };

static void privileges_drop(void)
{
    if (geteuid() != 0) {
        return;
    }
    const struct passwd *const user = getpwnam("postgres");
    if (user == NULL || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
        _exit(126);
    }
}

/* The child is a group of its own, ends with the test, and writes into DIR/log. */
static pid_t child_start(postgres_server_t *server, char *const arguments[])
{
    char log[160];
    (void)snprintf(log, sizeof log, "%s/log", server->directory);
    const pid_t child = fork();
    assert(child >= 0);
    if (child > 0) {
        return child;
    }
    (void)setpgid(0, 0);
    privileges_drop();
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after the change of user, which clears it */
    const int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    if (chdir(server->directory) != 0) {
        _exit(125);
    }
    (void)execv(arguments[0], arguments);
    _exit(127);
}

static int child_wait(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        assert(errno == EINTR);
    }
    return status;
}

static PGconn *superuser_connect(postgres_server_t *server, const char *database)
{
    char text[320];
    (void)snprintf(text, sizeof text,
                   "host=127.0.0.1 port=%u user=postgres password=super dbname=%s", server->port,
                   database);
    return PQconnectdb(text);
}

static void server_start(postgres_server_t *server)
{
    char data[160];
    char port[16];
    (void)snprintf(data, sizeof data, "%s/data", server->directory);
    (void)snprintf(port, sizeof port, "%u", server->port);
    char *const arguments[] = {
        BINARIES "postgres",
        "-D",
        data,
        "-p",
        port,
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=on",
        "-c",
        "password_encryption=scram-sha-256",
        "-c",
        "shared_buffers=128MB",
        "-c",
        "max_connections=200",
        "-c", /* a restart after a kill in tens of ms, not in seconds */
        "recovery_init_sync_method=syncfs",
        NULL,
    };
    server->process = child_start(server, arguments);
}

/* A server that was killed may not have let go of its memory yet: then the new one ends at once,
 * and is started again. */
void postgres_server_run_again(postgres_server_t *server)
{
    server_start(server);
    for (int i = 0; i < READY_TRIES; i++) {
        PGconn *const connection = superuser_connect(server, "postgres");
        const bool is_ready = PQstatus(connection) == CONNECTION_OK;
        PQfinish(connection);
        if (is_ready) {
            return;
        }
        if (waitpid(server->process, NULL, WNOHANG) == server->process) {
            server_start(server);
        }
        (void)poll(NULL, 0, READY_WAIT_MS);
    }
    (void)fprintf(stderr, "PostgreSQL does not start: see %s/log\n", server->directory);
    abort();
}

static void cluster_make(postgres_server_t *server)
{
    char data[160];
    char password[160];
    (void)snprintf(data, sizeof data, "%s/data", server->directory);
    (void)snprintf(password, sizeof password, "--pwfile=%s/password", server->directory);
    FILE *file = fopen(password + strlen("--pwfile="), "w");
    assert(file != NULL);
    (void)fputs("super\n", file);
    (void)fclose(file);
    char *const arguments[] = {BINARIES "initdb",
                               "-D",
                               data,
                               "-U",
                               "postgres",
                               "-E",
                               "UTF8",
                               "--no-locale",
                               "--auth=scram-sha-256",
                               password,
                               "--no-sync",
                               NULL};
    const int status = child_wait(child_start(server, arguments));
    if (status != 0) {
        (void)fprintf(stderr, "initdb failed: see %s/log\n", server->directory);
        abort();
    }
}

void postgres_server_start(postgres_server_t *server)
{
    directory_make(server->directory);
    if (geteuid() == 0) {
        const struct passwd *const user = getpwnam("postgres");
        assert(user != NULL);
        const int failed = chown(server->directory, user->pw_uid, user->pw_gid);
        assert(failed == 0);
    }
    (void)chmod(server->directory, 0711);
    cluster_make(server);
    server->port = free_port();
    (void)snprintf(server->url, sizeof server->url,
                   "postgresql://digitalcard:secret@127.0.0.1:%u/digitalcard", server->port);
    (void)snprintf(server->superuser, sizeof server->superuser,
                   "postgresql://postgres:super@127.0.0.1:%u/postgres", server->port);
    postgres_server_run_again(server);
    postgres_server_execute(server, "postgres",
                            "CREATE ROLE digitalcard LOGIN CREATEDB CREATEROLE PASSWORD 'secret'");
    postgres_server_clear(server);
}

void postgres_server_execute(postgres_server_t *server, const char *database, const char *sql)
{
    PGconn *const connection = superuser_connect(server, database);
    PGresult *const rows = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(rows);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(connection));
        abort();
    }
    PQclear(rows);
    PQfinish(connection);
}

/* `query` makes statements, which are run one by one. */
static void each_execute(postgres_server_t *server, const char *query)
{
    PGconn *const connection = superuser_connect(server, "postgres");
    PGresult *const rows = PQexec(connection, query);
    assert(PQresultStatus(rows) == PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(rows); i++) {
        postgres_server_execute(server, "postgres", PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    PQfinish(connection);
}

void postgres_server_clear(postgres_server_t *server)
{
    each_execute(server, "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database "
                         "WHERE datname LIKE 'dc\\_%' OR datname = 'digitalcard'");
    each_execute(server, "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname LIKE "
                         "'dc\\_%'");
    postgres_server_execute(server, "postgres",
                            "CREATE DATABASE digitalcard OWNER digitalcard TEMPLATE template0");
}

void postgres_server_empty_control(postgres_server_t *server)
{
    postgres_server_execute(server, "digitalcard",
                            "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION "
                            "digitalcard");
}

/* Backends are sessions of their own: the postmaster is held while all of its children are ended.
 */
void postgres_server_kill(postgres_server_t *server)
{
    char path[64];
    (void)kill(server->process, SIGSTOP);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", server->process,
                   server->process);
    FILE *const children = fopen(path, "r");
    assert(children != NULL);
    char line[8192] = "";
    const size_t size = fread(line, 1, sizeof line - 1, children);
    line[size] = '\0';
    (void)fclose(children);
    char *at = line;
    for (long child = strtol(at, &at, 10); child > 0; child = strtol(at, &at, 10)) {
        (void)kill((pid_t)child, SIGKILL);
    }
    (void)kill(server->process, SIGKILL);
    (void)child_wait(server->process);
    server->process = 0;
}

void postgres_server_stop(postgres_server_t *server)
{
    if (server->process != 0) {
        (void)kill(server->process, SIGQUIT); /* at once; the files go anyway */
        (void)child_wait(server->process);
        server->process = 0;
    }
    directory_remove(server->directory);
}
