/* zlib for Swift: the two initialisers that are macros, as functions. Window bits 31 mean gzip. */
#ifndef CZLIB_SHIM_H
#define CZLIB_SHIM_H
#include <zlib.h>
static inline int czlib_inflate_init(z_streamp s, int window_bits) { return inflateInit2(s, window_bits); }
static inline int czlib_deflate_init(z_streamp s, int level, int window_bits) {
    return deflateInit2(s, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
}
#endif
