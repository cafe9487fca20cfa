/* A PostgreSQL server of its own for a test: a new cluster in a temporary directory, on a free port
 * of loopback, as an unprivileged user, durable as in production. Ends with postgres_server_stop.
 */
#ifndef TESTS_SUPPORT_POSTGRES_SERVER_H
#define TESTS_SUPPORT_POSTGRES_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct postgres_server {
    char directory[128];
    uint16_t port;
    pid_t process;
    char url[256];       /* of the control database, with user and password */
    char superuser[256]; /* of the database "postgres", as superuser */
} postgres_server_t;

void postgres_server_start(postgres_server_t *server);
/* SIGKILL of the whole server: as a crash of the machine would end it, but for the kernel's cache.
 */
void postgres_server_kill(postgres_server_t *server);
void postgres_server_run_again(postgres_server_t *server); /* waits until it takes connections */
/* Drops every database and role but the first ones, and makes an empty control database. */
void postgres_server_clear(postgres_server_t *server);
/* Makes the control database empty. Databases of tenants stay, as those of another installation:
 * making and dropping databases is what takes time. */
void postgres_server_empty_control(postgres_server_t *server);
/* Runs SQL as superuser in `database`. */
void postgres_server_execute(postgres_server_t *server, const char *database, const char *sql);
void postgres_server_stop(postgres_server_t *server);

#endif
