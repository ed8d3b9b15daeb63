#include "cchecksum.h"
#include <string.h>

#define POLYNOMIAL 0x82F63B78u

static uint32_t table[256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[byte] = crc;
    }
}

uint32_t cchecksum_crc32c_portable(uint32_t crc, const void *data, size_t length) {
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t index = 0; index < length; index++) crc = (crc >> 8) ^ table[(crc ^ bytes[index]) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

/* 8 bytes an instruction, 3 cycles each: about 8 GB/s. Interleaving three streams would triple it; the disk is slower. */
__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t crc, const void *data, size_t length) {
    const unsigned char *bytes = data;
    uint64_t state = ~crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        state = _mm_crc32_u64(state, word);
        bytes += 8;
        length -= 8;
    }
    uint32_t rest = (uint32_t)state;
    while (length > 0) {
        rest = _mm_crc32_u8(rest, *bytes++);
        length--;
    }
    return ~rest;
}

uint32_t cchecksum_crc32c(uint32_t crc, const void *data, size_t length) {
    if (__builtin_cpu_supports("sse4.2")) return crc32c_hardware(crc, data, length);
    return cchecksum_crc32c_portable(crc, data, length);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t cchecksum_crc32c(uint32_t crc, const void *data, size_t length) {
    const unsigned char *bytes = data;
    crc = ~crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        crc = __crc32cd(crc, word);
        bytes += 8;
        length -= 8;
    }
    while (length > 0) {
        crc = __crc32cb(crc, *bytes++);
        length--;
    }
    return ~crc;
}
#else
uint32_t cchecksum_crc32c(uint32_t crc, const void *data, size_t length) {
    return cchecksum_crc32c_portable(crc, data, length);
}
#endif
