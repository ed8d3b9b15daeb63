/* One pointer for each thread, which Swift has no way to declare. */
#ifndef CTHREADRECORD_H
#define CTHREADRECORD_H

/* initial-exec: read without a call. It needs a few bytes of the room that every loader keeps for such variables. */
extern _Thread_local void *cthreadrecord_current __attribute__((tls_model("initial-exec")));

/* What this thread put there last; NULL at its start. */
static inline void *cthreadrecord_get(void) { return cthreadrecord_current; }
static inline void cthreadrecord_set(void *record) { cthreadrecord_current = record; }
#endif
