#define _GNU_SOURCE
#include "CLoadClient.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

int cloadclient_poll(struct pollfd *descriptors, uint32_t count, int64_t timeout_microseconds) {
    struct timespec timeout = {
        .tv_sec = timeout_microseconds / 1000000,
        .tv_nsec = (timeout_microseconds % 1000000) * 1000,
    };
    int ready = ppoll(descriptors, count, &timeout, NULL);
    if (ready >= 0) {
        return ready;
    }
    return errno == EINTR ? 0 : -errno;
}
