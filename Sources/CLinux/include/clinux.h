/* Linux calls that Swift's Glibc module leaves out: epoll, eventfd, inotify and mremap, as few plain functions. */
#ifndef CLINUX_H
#define CLINUX_H
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { CLINUX_READABLE = 1, CLINUX_WRITABLE = 2, CLINUX_FAILED = 4 };

typedef struct {
    int descriptor;
    int ready; /* CLINUX_ flags */
} clinux_event;

static inline int clinux_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

/* Watches a descriptor for the CLINUX_ flags in `wanted`, 0 to watch it no longer. */
static inline int clinux_watch(int epoll, int descriptor, int wanted) {
    struct epoll_event event = {0};
    event.data.fd = descriptor;
    if (!wanted) return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event);
    if (wanted & CLINUX_READABLE) event.events |= EPOLLIN;
    if (wanted & CLINUX_WRITABLE) event.events |= EPOLLOUT;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/* Waits for at most `count` (at most 256) events; returns how many, or -1. */
static inline int clinux_wait(int epoll, clinux_event *events, int count, int timeout_ms) {
    struct epoll_event raw[256];
    int ready = epoll_wait(epoll, raw, count < 256 ? count : 256, timeout_ms);
    for (int i = 0; i < ready; i++) {
        events[i].descriptor = raw[i].data.fd;
        events[i].ready = (raw[i].events & EPOLLIN ? CLINUX_READABLE : 0) | (raw[i].events & EPOLLOUT ? CLINUX_WRITABLE : 0) |
                          (raw[i].events & (EPOLLERR | EPOLLHUP) ? CLINUX_FAILED : 0);
    }
    return ready;
}

static inline int clinux_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }
/* Watches a directory for files that are written, moved or deleted. */
static inline int clinux_inotify_watch(int inotify, const char *directory) {
    return inotify_add_watch(inotify, directory, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR);
}
/* Reads an eventfd or inotify descriptor empty. */
static inline void clinux_drain(int descriptor) {
    char bytes[4096];
    while (read(descriptor, bytes, sizeof bytes) > 0) {}
}
static inline void clinux_signal(int eventfd) {
    uint64_t one = 1;
    ssize_t written = write(eventfd, &one, sizeof one);
    (void)written;
}

/* Asks the scheduler to give the calling thread a short time at once, and therefore soon after it wakes: Linux 6.12 puts
 * first whose slice would end first. Needs no privilege. Older kernels, and other policies, do nothing. */
static inline void clinux_shorten_slice(uint64_t ns) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {0};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != 0) return;
    attributes.size = sizeof attributes;
    attributes.runtime = ns;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* What tools show for the calling thread; at most 15 bytes count. */
static inline void clinux_name_thread(const char *name) { (void)prctl(PR_SET_NAME, name, 0, 0, 0); }

/* Makes the calling thread, and no other, yield to threads of usual priority. */
static inline void clinux_lower_priority(int nice) { (void)setpriority(PRIO_PROCESS, 0, nice); }

/* An anonymous mapping of `size` bytes, in large pages where the system has them. `old`, unless it is null, is such a
 * mapping of `old_size` bytes, which becomes the new one's start without being copied, and is gone then. Null, with `old`
 * as it was, when there is no memory. */
void *clinux_map(void *old, size_t old_size, size_t size);
/* What glibc's allocator holds, in bytes and pieces; see mallinfo2(3). */
typedef struct {
    size_t arena, mapped, regions, used, free, free_chunks, releasable;
} clinux_malloc;

/* 1, or 0 where the library does not tell. */
static inline int clinux_malloc_read(clinux_malloc *info) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 raw = mallinfo2();
    info->arena = raw.arena;
    info->mapped = raw.hblkhd;
    info->regions = raw.hblks;
    info->used = raw.uordblks;
    info->free = raw.fordblks;
    info->free_chunks = raw.ordblks;
    info->releasable = raw.keepcost;
    return 1;
#else
    (void)info;
    return 0;
#endif
}
#endif
