#define _GNU_SOURCE
#include "clinux.h"
#include <sys/mman.h>

void *clinux_map(void *old, size_t old_size, size_t size) {
    void *mapped = old ? mremap(old, old_size, size, MREMAP_MAYMOVE)
                       : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    /* A hint: where there are no large pages, small ones do. */
    if (size >= 4u << 20) (void)madvise(mapped, size, MADV_HUGEPAGE);
    return mapped;
}
