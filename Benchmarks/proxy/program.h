/* What the programs of this benchmark share. Include it after _GNU_SOURCE is defined. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Ends the program with what failed and errno's words. */
static inline _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

/* Microseconds of the monotonic clock. */
static inline int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}
