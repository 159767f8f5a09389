/* Fixed-width and variable-width integers on disk. Little-endian for records,
 * big-endian where the bytes must sort like the numbers. */
#ifndef VARVE_BASE_CODEC_H
#define VARVE_BASE_CODEC_H

#include "base/slice.h"

static inline void put_u16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void put_u32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void put_u48(uint8_t *p, uint64_t v) { memcpy(p, &v, 6); }
static inline void put_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }
static inline uint16_t get_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t get_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t get_u48(const uint8_t *p) { uint64_t v = 0; memcpy(&v, p, 6); return v; }
static inline uint64_t get_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void put_be16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void put_be32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void put_be64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
static inline uint16_t get_be16(const uint8_t *p) { return __builtin_bswap16(get_u16(p)); }
static inline uint32_t get_be32(const uint8_t *p) { return __builtin_bswap32(get_u32(p)); }
static inline uint64_t get_be64(const uint8_t *p) { return __builtin_bswap64(get_u64(p)); }
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written little-endian by plain copies");

#define VARINT_MAX 10 /* bytes of the longest varint (LEB128 of 64 bits) */
static inline size_t varint_len(uint64_t v)
{
    size_t n = 1;
    while (v >= 128) v >>= 7, n++;
    return n;
}
static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 128) *p++ = (uint8_t)(v | 128), v >>= 7;
    *p++ = (uint8_t)v;
    return p;
}
/* Reads one varint from [p, end); returns the byte behind it, or NULL when it
 * is cut off, longer than ten bytes or over 64 bits. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (int shift = 0; p < end && shift < 70; shift += 7) {
        uint8_t c = *p++;
        if (shift == 63 && c > 1) return NULL;
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

#endif
