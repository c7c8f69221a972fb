// HTTP/2 framing without input or output of its own (nghttp2).
#ifndef CNGHTTP2_SHIM_H
#define CNGHTTP2_SHIM_H

#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#endif
