#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CSpool.h"

#include <pthread.h>
#include <string.h>

void cspool_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#if defined(__x86_64__)
#include <nmmintrin.h>

bool cspool_has_crc32c(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t cspool_crc32c(uint32_t previous, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    uint64_t remainder = ~previous;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        remainder = _mm_crc32_u64(remainder, word);
    }
    uint32_t narrow = (uint32_t)remainder;
    for (; count > 0; count--) narrow = _mm_crc32_u8(narrow, *next++);
    return ~narrow;
}

__attribute__((target("sse4.2"))) uint32_t cspool_crc32c_of(uint64_t first, uint64_t second) {
    return ~(uint32_t)_mm_crc32_u64(_mm_crc32_u64(0xFFFFFFFF, first), second);
}
#else
bool cspool_has_crc32c(void) { return false; }

uint32_t cspool_crc32c(uint32_t previous, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return previous;
}

uint32_t cspool_crc32c_of(uint64_t first, uint64_t second) { return (uint32_t)(first ^ second); }
#endif
