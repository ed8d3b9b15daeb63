#define _GNU_SOURCE
#include "cthreadrecord.h"

_Thread_local void *cthreadrecord_current __attribute__((tls_model("initial-exec"))) = 0;

/* membarrier(2), Linux 4.14. Its numbers are the kernel's, which older headers lack. */
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__linux__) && defined(__NR_membarrier)
enum { PRIVATE_EXPEDITED = 1 << 3, REGISTER_PRIVATE_EXPEDITED = 1 << 4 };

int cthreadrecord_register_barrier(void) {
    return syscall(__NR_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : -1;
}
int cthreadrecord_barrier(void) { return syscall(__NR_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : -1; }
#else
int cthreadrecord_register_barrier(void) { return -1; }
int cthreadrecord_barrier(void) { return -1; }
#endif
