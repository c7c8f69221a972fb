#ifndef CCONSOLE_H
#define CCONSOLE_H

#include <stddef.h>

// The files of the console, as they are in the folder `assets`, inside of the program.
struct cconsole_asset {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};

size_t cconsole_asset_count(void);
struct cconsole_asset cconsole_asset_at(size_t index);

#endif
