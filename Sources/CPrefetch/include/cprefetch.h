/* Asks the processor for a cache line ahead of its use; Swift has no word for it. */
#ifndef CPREFETCH_H
#define CPREFETCH_H
#include <stdint.h>

/* For the line that holds `address`, which will be written. Any address is allowed, also one that is not mapped. */
static inline void cprefetch_write(uintptr_t address) { __builtin_prefetch((const void *)address, 1, 3); }
#endif
