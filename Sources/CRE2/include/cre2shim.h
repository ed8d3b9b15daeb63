// C face of RE2, so that no Swift module needs C++ interoperability.
#ifndef APUS_CRE2SHIM_H
#define APUS_CRE2SHIM_H
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct cre2_regex cre2_regex;
/// A compiled pattern whose dot matches newlines, or NULL with a message in `error`. May be used from many threads.
/// `max_memory` bounds, in bytes, what compiling and matching may take.
cre2_regex *cre2_new(const char *pattern, size_t size, long max_memory, char *error, size_t error_capacity);
void cre2_free(cre2_regex *regex);
/// Whether the whole of `text` matches.
int cre2_full_match(const cre2_regex *regex, const char *text, size_t size);
int cre2_group_count(const cre2_regex *regex);
/// As above, and the begin and end of group i (0: everything) in offsets[2i], offsets[2i+1]; -1 when unset.
int cre2_full_match_groups(const cre2_regex *regex, const char *text, size_t size, ptrdiff_t *offsets, int groups);
/// The number of the named group, or -1.
int cre2_group_number(const cre2_regex *regex, const char *name, size_t size);
#ifdef __cplusplus
}
#endif
#endif
