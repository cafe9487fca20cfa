/* Kinds of the frames between supervisor and role (runtime/link.h). Numbers within a frame are
 * little-endian. During and after a rolling restart the role may be newer than the
 * supervisor: numbers keep their meaning for ever, a frame grows at its end only, and kinds that
 * the other side does not know are skipped. */
#ifndef RUNTIME_LINK_FRAMES_H
#define RUNTIME_LINK_FRAMES_H

#include <stddef.h>
#include <stdint.h>

typedef enum link_frame {
    /* From the role. */
    LINK_FRAME_READY = 1,   /* endpoint */
    LINK_FRAME_REPLY = 2,   /* u32 request, JSON */
    LINK_FRAME_ASK = 3,     /* u32 ask, JSON */
    LINK_FRAME_LEAVING = 4, /* nothing: got SIGTERM, asks to be drained and started anew */
    LINK_FRAME_PONG = 5,    /* nothing */
    /* From the supervisor. */
    LINK_FRAME_PEER_UP = 16,       /* u64 incarnation, u8 size of the name, name, endpoint */
    LINK_FRAME_PEER_DRAINING = 17, /* name */
    LINK_FRAME_PEER_DOWN = 18,     /* name */
    LINK_FRAME_DRAIN = 19,         /* nothing, or u8 1: a successor is up already */
    LINK_FRAME_RELOAD = 20,        /* nothing */
    LINK_FRAME_REQUEST = 21,       /* u32 request, JSON */
    LINK_FRAME_ANSWER = 22,        /* u32 ask, JSON; no JSON: there is no answer */
    LINK_FRAME_PING = 23,          /* nothing; the watchdog */
} link_frame_t;

static inline void link_number_write(uint8_t *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(number >> (8U * i));
    }
}

static inline uint64_t link_number_read(const uint8_t *in, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)in[i] << (8U * i);
    }
    return number;
}

#endif
