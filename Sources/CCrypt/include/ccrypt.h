/* Checking passwords with libxcrypt's crypt_r. */
#ifndef CCRYPT_H
#define CCRYPT_H
/* 1 if `password` is the one that `hash` was made of; 0 if not, or if `hash` is of a kind that the library does not know.
   Takes as long as the hash's cost says, and the same time for right and wrong passwords. Both end with a zero byte. */
int ccrypt_matches(const char *password, const char *hash);
#endif
