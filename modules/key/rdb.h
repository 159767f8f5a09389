/* Serialized values as Redis 7.0's DUMP and RESTORE exchange them: an object of its dump format, two bytes of format version, a CRC-64.
 *
 *   string    0, then a string
 *   document  7 (value of a module), id of the module type "varve-doc", then an opcode 5 (string), the JSON, opcode 0 (end): others can step over it
 *   length    00xxxxxx · 01xxxxxx + 1 byte · 0x80 + 4 bytes big-endian · 0x81 + 8 bytes big-endian
 *   string    length and bytes, or 0xc0 + int8, 0xc1 + int16, 0xc2 + int32 (little-endian), 0xc3 + length packed, length, LZF bytes
 *   end       u16 format version (10), u64 CRC-64 of all before, both little-endian */
#ifndef VARVE_MODULES_KEY_RDB_H
#define VARVE_MODULES_KEY_RDB_H

#include "module.h"

#define RDB_VERSION 10

/* CRC-64 of Jones, as Redis has it: polynomial 0xad93d23594c935a9, reflected, from 0. */
uint64_t rdb_crc64(uint64_t crc, const void *p, size_t n);
/* Unpacks LZF into exactly n bytes. E_CORRUPT: it is not of that form or length. */
int rdb_lzf(slice packed, uint8_t *out, size_t n) MUST_CHECK;

/* Appends the payload of a string or document. */
void rdb_dump(uint8_t type, slice value, struct buf *out);
/* Reads one. E_VERSION: too new, or the checksum is wrong. E_CORRUPT: not a value that is known here. *value borrows from the payload or lies in *mem. A
 * document's JSON is checked; no string is longer than bytes_max. */
int rdb_restore(slice payload, size_t bytes_max, struct buf *mem, uint8_t *type, slice *value) MUST_CHECK;

#endif
