/* digitalcard-bench http and digitalcard-bench api: the same load over two protocols. */
#include "bench/bench.h"
#include "bench/load/options.h"
#include "bench/load/run.h"

#include <string.h>
#include <unistd.h>

static int run(int argc, char **argv, load_protocol_t protocol)
{
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], "--help") == 0) {
            load_options_help(protocol);
            return BENCH_EXIT_OK;
        }
    }
    load_options_t options;
    if (!load_options_read(argc, argv, protocol, &options)) {
        return BENCH_EXIT_USAGE;
    }
    options.is_live |= isatty(STDERR_FILENO) == 1;
    return load_run(&options);
}

static int run_http(int argc, char **argv)
{
    return run(argc, argv, LOAD_HTTP);
}

static int run_api(int argc, char **argv)
{
    return run(argc, argv, LOAD_ROUTER);
}

const bench_command_t bench_http_command = {
    .name = "http",
    .help = "a running service over HTTP: validate, scan, lifecycle, mixed, bulk, events",
    .run = run_http,
};

const bench_command_t bench_api_command = {
    .name = "api",
    .help = "the same over its ROUTER API, pipelined",
    .run = run_api,
};
