#include "cthreadrecord.h"

_Thread_local void *cthreadrecord_current __attribute__((tls_model("initial-exec"))) = 0;
