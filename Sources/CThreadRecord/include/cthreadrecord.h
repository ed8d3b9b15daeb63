/* One pointer for each thread, which Swift has no way to declare; and a barrier in all threads at once. */
#ifndef CTHREADRECORD_H
#define CTHREADRECORD_H

/* initial-exec: read without a call. It needs a few bytes of the room that every loader keeps for such variables. */
extern _Thread_local void *cthreadrecord_current __attribute__((tls_model("initial-exec")));

/* What this thread put there last; NULL at its start. */
static inline void *cthreadrecord_get(void) { return cthreadrecord_current; }
static inline void cthreadrecord_set(void *record) { cthreadrecord_current = record; }

/* The compiler moves no load or store across; the processor may. */
static inline void cthreadrecord_compiler_fence(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

/* Asks the kernel for the right to call the next one. 0 if it has it, else -1. */
int cthreadrecord_register_barrier(void);
/* Every running thread of this process has passed a full memory barrier when it returns 0; -1 if it could not be done. */
int cthreadrecord_barrier(void);
#endif
