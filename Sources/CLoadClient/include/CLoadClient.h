// The one call of the kernel that a load generator needs and that Swift's Glibc does not show: ppoll, since poll's
// milliseconds are too coarse for a schedule of thousands of requests a second.
#pragma once

#include <poll.h>
#include <stdint.h>

// Waits until a descriptor is ready or the time is up. How many are ready, or -errno; 0 where a signal came.
int cloadclient_poll(struct pollfd *descriptors, uint32_t count, int64_t timeout_microseconds);
