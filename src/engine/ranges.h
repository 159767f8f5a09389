/* Ranges of the index: the one place that encodes and decodes index keys and values.
 *
 * A key begins with the tag of its range. Numbers in keys are big-endian, so that keys sort as the numbers do; ~seq is the bitwise
 * complement, so that newer sorts first. esc(x) is x with every 00 written as 00 FF, closed by 00 01: it sorts as x does and no
 * esc(x) begins another. `hash` is key_hash under the store's seed. Numbers in values are varints unless a width is given.
 *
 *   tag range           key behind the tag                                            value
 *   V   versions        space u8, lineage u16, hash u64, n u16, key, ~seq             op u8, type u8, flags u16le, ver, expire ms, node bytes
 *   H   live keys       lineage u16, generation u64, hash u64, n u16, key             type u8, expires u8
 *   C   documents       lineage u16, esc(key), ~seq                                   alive u8
 *   E   expiry          ms u64, lineage u16, key                                      seq
 *   L   links out       lineage u16, esc(from), esc(rel), esc(to), ~seq               alive u8
 *   M   links in        lineage u16, esc(to), esc(rel), esc(from), ~seq               alive u8
 *   R   effects         cause u64, effect u64                                         (empty)
 *   T   time            ms u64                                                        first seq whose running time reaches ms
 *   K   tokens          lineage u16, token                                            seq
 *   S   store events    seq u64                                                       kind u8, u16le a, u16le b
 *   I   sorted, live    index, sort key, esc(key)                                 bytes of sort key, from
 *   J   sorted, closed  index, sort key, esc(key), from u64                       bytes of sort key, to
 *
 * V: the filter prefix is all but ~seq, so "newest at or before P" is the first entry from (key, ~P) on with that prefix.
 * L, M: the filter prefix is tag, lineage and the first name. Entries of older stores have none.
 * H: generation = newest flush of the lineage when folded, so a flush needs no deletes.
 * S: kind NODE_FLUSH with a = lineage or NODE_ALL_LINEAGES; kind NODE_SWAP with the two database numbers.
 * I, J: `index` is the definition's number: one byte below F0, else F0 and u32, so that the first eight bytes of a key, which the index's write
 * buffer compares first, reach into the sort key. An entry holds at points [from, to); a live one until the next flush. The sort key of an ordered index is
 * json_sort_key of the value, cut at RANGE_SORT_KEY_MAX; of a text index a word (base/words.h, at most WORD_BYTES_MAX bytes) and a 00 byte.
 *
 * Values read from the index are checked: a parse that fails is E_CORRUPT. */
#ifndef VARVE_ENGINE_RANGES_H
#define VARVE_ENGINE_RANGES_H

#include "base/buf.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/hash.h"
#include "engine/engine.h"

enum range_tag {
    RANGE_VERSION = 'V', RANGE_LIVE = 'H', RANGE_DOC = 'C', RANGE_EXPIRY = 'E', RANGE_LINK_OUT = 'L', RANGE_LINK_IN = 'M',
    RANGE_EFFECT = 'R', RANGE_TIME = 'T', RANGE_TOKEN = 'K', RANGE_EVENT = 'S', RANGE_SORTED = 'I', RANGE_CLOSED = 'J',
};

#define RANGE_SORT_KEY_MAX 512   /* content bytes of a sort key before it is cut */
#define RANGE_VERSION_HEAD 14    /* bytes of a V key before the key */
#define RANGE_PROBE_BYTES 320    /* a stack buffer of this size holds the V key of any key up to 256 bytes without growing */

/* Bytes of a V key up to ~seq. */
static inline size_t range_version_prefix(slice key) { return RANGE_VERSION_HEAD + key.n; }

/* Every range_KEY function replaces what `out` holds. */
void range_version(struct buf *out, const struct hash_seed *seed, uint8_t space, uint16_t lineage, slice key, uint64_t seq);
void range_live(struct buf *out, uint16_t lineage, uint64_t generation, uint64_t hash, slice key);
void range_live_from(struct buf *out, uint16_t lineage, uint64_t generation, uint64_t hash); /* the lowest key of that position */
void range_doc(struct buf *out, uint16_t lineage, slice key, uint64_t seq);
/* The lowest possible entry of documents whose key begins with prefix. */
void range_doc_from(struct buf *out, uint16_t lineage, slice prefix);
void range_expiry(struct buf *out, uint64_t ms, uint16_t lineage, slice key);
/* tag: RANGE_LINK_OUT with (from, rel, to) or RANGE_LINK_IN with (to, rel, from). */
void range_link(struct buf *out, uint8_t tag, uint16_t lineage, const slice part[3], uint64_t seq);
/* The common beginning of one key's links, of one relation unless rel is empty. */
void range_link_from(struct buf *out, uint8_t tag, uint16_t lineage, slice key, slice rel);
/* Bytes of an L or M key up to the end of its first name: its filter prefix. */
size_t range_link_prefix(slice entry);
/* The common beginning of all links of a lineage, by (from, rel, to). */
void range_link_all(struct buf *out, uint16_t lineage);
void range_effect(struct buf *out, uint64_t cause, uint64_t effect);
void range_time(struct buf *out, uint64_t ms);
void range_token(struct buf *out, uint16_t lineage, slice token);
void range_event(struct buf *out, uint64_t seq);
void range_sorted(struct buf *out, uint32_t index, slice sort_key, slice key);
void range_closed(struct buf *out, uint32_t index, slice sort_key, slice key, uint64_t from);
void range_sorted_from(struct buf *out, uint8_t tag, uint32_t index, slice sort_key); /* common beginning of one value's entries */
/* Turns a common beginning into the first key behind everything that begins so. False when there is none (all FF). */
bool range_end(struct buf *prefix);

#define RANGE_VERSION_GAP 32768u /* in a V entry's flags: newer versions are gone whose seqs nobody knows (only after a repair). Not handed out */
void range_version_value(struct buf *out, const struct version *v);
void range_live_value(struct buf *out, uint8_t type, bool expires);
void range_flag_value(struct buf *out, bool alive);
void range_seq_value(struct buf *out, uint64_t seq);
void range_event_value(struct buf *out, uint8_t kind, uint16_t a, uint16_t b);
void range_sorted_value(struct buf *out, size_t sort_key_bytes, uint64_t seq);

/* Parsers: E_OK or E_CORRUPT. Slices borrow from the entry, or from *mem where one is passed (appended to). */
int range_version_parse(slice entry, uint8_t *space, uint16_t *lineage, slice *key, uint64_t *seq) MUST_CHECK;
int range_version_parse_value(slice value, uint64_t seq, struct version *out) MUST_CHECK;
int range_live_parse(slice entry, slice value, struct live_key *out) MUST_CHECK;
int range_doc_parse(slice entry, struct buf *mem, uint64_t *seq) MUST_CHECK; /* the key is put into *mem, which is replaced */
int range_expiry_parse(slice entry, uint64_t *ms, uint16_t *lineage, slice *key) MUST_CHECK;
int range_link_parse(slice entry, struct buf *mem, slice part[3], uint64_t *seq) MUST_CHECK; /* *mem is replaced */
int range_effect_parse(slice entry, uint64_t *effect) MUST_CHECK;
int range_flag_parse(slice value, bool *alive) MUST_CHECK;
int range_seq_parse(slice value, uint64_t *seq) MUST_CHECK;
int range_event_parse(slice entry, slice value, uint64_t *seq, uint8_t *kind, uint16_t ab[2]) MUST_CHECK;
struct range_interval {       /* one I or J entry */
    uint32_t index;
    slice sort_key;           /* borrowed */
    slice escaped;            /* esc(key), borrowed: compares as the keys do */
    uint64_t from, to;        /* to = UINT64_MAX for I */
};
int range_interval_parse(slice entry, slice value, struct range_interval *out) MUST_CHECK;
/* The number of the index that an I or J entry belongs to; *used = bytes up to the sort key. */
int range_sorted_index(slice entry, uint32_t *index, size_t *used) MUST_CHECK;
/* Undoes esc() at the start of `in`, appends to *out; *used = bytes read. */
int range_unescape(slice in, struct buf *out, size_t *used) MUST_CHECK;

#endif
