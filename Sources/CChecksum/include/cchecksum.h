/* CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 §12.1): the checksum of every file of the database. */
#ifndef CCHECKSUM_H
#define CCHECKSUM_H
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, the checksum of what came before; 0 at the start. Any length, any alignment. */
uint32_t cchecksum_crc32c(uint32_t crc, const void *data, size_t length);

/* The same by table, whatever the processor can do. For tests. */
uint32_t cchecksum_crc32c_portable(uint32_t crc, const void *data, size_t length);
#endif
