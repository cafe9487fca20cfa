/* Whether a descriptor takes what is about to be written. */
#ifndef RUNTIME_OUTPUT_H
#define RUNTIME_OUTPUT_H

#include <stdbool.h>

/* Whether a page of 4,096 bytes can be written at once: a pipe or a socket whose reader stands
 * still is full some time, and write(2) would wait for ever. Waits for `wait_ms` at most. True as
 * well when the descriptor is closed or its reader gone, which the write will say. */
bool output_has_room(int descriptor, int wait_ms);

#endif
