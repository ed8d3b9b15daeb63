#define _GNU_SOURCE
#include "ccrypt.h"
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

int ccrypt_matches(const char *password, const char *hash) {
    /* 32 KiB: too much for a small stack. */
    struct crypt_data *data = calloc(1, sizeof *data);
    if (!data) return 0;
    const char *made = crypt_r(password, hash, data);
    /* A hash that the library can't use makes a string that begins with `*`. */
    int matches = made && made[0] != '*' && strlen(made) == strlen(hash);
    if (matches) {
        unsigned char difference = 0;
        for (size_t i = 0; hash[i]; i++) difference |= (unsigned char)(made[i] ^ hash[i]);
        matches = difference == 0;
    }
    free(data);
    return matches;
}
