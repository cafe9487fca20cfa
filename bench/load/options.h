/* The command line of the load generator. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include "bench/load/load.h"

/* False: it said on stderr what cannot be used. argv[0] is the name of the command. */
bool load_options_read(int argc, char **argv, load_protocol_t protocol, load_options_t *options);
void load_options_help(load_protocol_t protocol);

/* "http://host:port", "tcp://host:port" or "ipc://path"; false when it is none of them. */
bool load_address_read(const char *text, load_address_t *address);

#endif
