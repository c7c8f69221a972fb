#define _GNU_SOURCE
#include "CGateway.h"

#include <fcntl.h>
#include <unistd.h>

int cgateway_pipe(int ends[2], int bytes) {
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    // Less where this user has many pipes already: then more of smaller ones pass through it.
    int size = fcntl(ends[1], F_SETPIPE_SZ, bytes);
    if (size < 0) size = fcntl(ends[1], F_GETPIPE_SZ);
    if (size > 0) return size;
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return -error;
}

ssize_t cgateway_splice(int source, int sink, size_t count) {
    ssize_t moved;
    do {
        moved = splice(source, NULL, sink, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}
