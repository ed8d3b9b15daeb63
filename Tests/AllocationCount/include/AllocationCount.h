/* How often a thread asks for memory. */
#ifndef ALLOCATION_COUNT_H
#define ALLOCATION_COUNT_H
#include <stdbool.h>
#include <stddef.h>

/* Whether anything is counted: with glibc, and without a sanitizer, which has an allocator of its own. */
bool allocation_count_is_supported(void);
/* Calls of malloc and its like by this thread since it began. */
size_t allocation_count_of_thread(void);
#endif
