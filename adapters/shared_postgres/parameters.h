/* Values of one statement in PostgreSQL's binary form, arrays included. The memory grows on demand
 * and may be kept from statement to statement; libpq copies what it sends. A zeroed struct is an
 * empty list. */
#ifndef ADAPTERS_SHARED_POSTGRES_PARAMETERS_H
#define ADAPTERS_SHARED_POSTGRES_PARAMETERS_H

#include "messages/text.h"
#include "messages/uuid.h"

enum { PARAMETERS_MAX = 48 };

/* Types of elements (pg_type.dat; they are for ever). */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_UUID = 2950,
    TYPE_BOOL_ARRAY = 1000,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_INT2_ARRAY = 1005,
    TYPE_INT4_ARRAY = 1007,
    TYPE_INT8_ARRAY = 1016,
    TYPE_UUID_ARRAY = 2951,
};

typedef struct parameters {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    int count;
    size_t offsets[PARAMETERS_MAX];
    const char *values[PARAMETERS_MAX]; /* after parameters_finish */
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    bool is_null[PARAMETERS_MAX];
} parameters_t;

/* Empties the list for the next statement and keeps its memory. */
void parameters_reset(parameters_t *parameters);
/* Frees the memory and empties the list. */
void parameters_release(parameters_t *parameters);
/* Makes `values`, `lengths` and `formats` what PQexecParams and its kin want, until the next change
 * of the list. Nothing may be added afterwards but after a reset. */
void parameters_finish(parameters_t *parameters);

/* Each adds one parameter, PARAMETERS_MAX at most (asserted); what it is given is copied. The type
 * behind it is that of the statement: int8, bytea or text, uuid. */
void parameter_integer(parameters_t *parameters, int64_t value);
void parameter_bytes(parameters_t *parameters, text_t value);
void parameter_uuid(parameters_t *parameters, const uuid_t *value);
void parameter_null(parameters_t *parameters);

/* An array: begin with the type of its elements (TYPE_BYTEA, TYPE_INT8, …) and their exact number,
 * add each by the element function of that type or as NULL, end it. An array of none has no
 * elements but begins and ends as well. */
void parameter_array_begin(parameters_t *parameters, uint32_t type, size_t count);
void parameter_array_end(parameters_t *parameters);
void element_int8(parameters_t *parameters, int64_t value);
void element_int4(parameters_t *parameters, int32_t value);
void element_int2(parameters_t *parameters, int16_t value);
void element_bool(parameters_t *parameters, bool value);
void element_bytes(parameters_t *parameters, text_t value);
void element_uuid(parameters_t *parameters, const uuid_t *value);
void element_null(parameters_t *parameters);

#endif
