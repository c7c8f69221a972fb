#ifndef CSPOOL_H
#define CSPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether this processor has an instruction for CRC-32C (SSE 4.2). Ask once: it is a look at the processor.
bool cspool_has_crc32c(void);

// The CRC-32C of `count` bytes that come after those whose checksum is `previous` (0 at the beginning), by the
// processor's instruction: only where there is one.
uint32_t cspool_crc32c(uint32_t previous, const void *bytes, size_t count);

// As above of two numbers, each as its eight bytes in little-endian order.
uint32_t cspool_crc32c_of(uint64_t first, uint64_t second);

// Names the calling thread for whoever looks at the process; at most 15 bytes.
void cspool_name_thread(const char *name);

#endif
