/* JSON: a validating scanner for the hot path, paths, and values that compare
 * and sort exactly. Works on the bytes; builds no tree.
 *
 * RFC 8259, UTF-8 checked, any value at the top, nesting to JSON_DEPTH_MAX,
 * duplicate member names in one object refused (names compared after
 * unescaping). Lone surrogates in \u escapes are refused. */
#ifndef VARVE_BASE_JSON_H
#define VARVE_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define JSON_DEPTH_MAX 512
#define JSON_BYTES_MAX (512u << 20) /* longer texts are refused */

struct json_fault {
    size_t at;       /* byte offset of the first byte that cannot be right (a duplicate name: of its quote) */
    const char *why; /* static text */
};

/* Checks `text`; on success *trimmed (if not NULL) is it without white space at both ends.
 * E_SYNTAX fills *fault (if not NULL). */
API int json_check(slice text, slice *trimmed, struct json_fault *fault) MUST_CHECK;

/* A parsed path: `plan`, `a.b[0]`, `$.a.b`, `$` (the whole value). Members that need it are quoted:
 * `a["b.c"]`, with the escapes of a JSON string. At most JSON_PATH_MAX steps. Unquoted names hold none of . [ ] " \ . */
#define JSON_PATH_MAX 64
struct json_step {
    slice name;    /* the inside of a JSON string, borrowed from the path text; meets members by its unescaped bytes */
    int64_t index; /* -1: a member step */
};
struct json_path {
    struct json_step step[JSON_PATH_MAX];
    size_t n;
};
API int json_path_parse(slice text, struct json_path *out) MUST_CHECK; /* E_SYNTAX; slices borrow from text */

/* Finds the value at a path in checked JSON: its bytes (borrowed). E_NOTFOUND. The JSON must have
 * passed json_check; on other bytes the result is E_CORRUPT or some slice of them, never a wild read. */
API int json_find(slice json, const struct json_path *path, slice *value) MUST_CHECK;

/* Several paths at once: one pass over the text, however many they are, and it ends where the last of them is found. */
#define JSON_PICKS_MAX 64
struct json_picker;
/* paths[i] may be NULL: nothing is looked for there. The names, not the paths themselves, must outlive the picker. n <= JSON_PICKS_MAX. */
API struct json_picker *json_picker_new(const struct json_path *const *paths, size_t n) __attribute__((returns_nonnull));
API void json_picker_free(struct json_picker **k);
/* Sets value[i] to what json_find gives for paths[i] and returns the bits 1 << i of those found; the other values are left alone.
 * The JSON must have passed json_check; on other bytes some may be missing or wrong, never a wild read. */
API uint64_t json_pick(const struct json_picker *k, slice json, slice *value);

/* A scalar or container value, decoded enough to compare. Order of types is the order of values:
 * null < false < true < number < string (bytes of the unescaped UTF-8) < array < object. */
enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
API enum json_type json_type_of(slice value);

/* Total order of two checked JSON values (<0, 0, >0). Numbers compare by the exact value of their decimal text:
 * 1 = 1.0 = 1e0, -0 = 0, 9007199254740993 and 9007199254740992.0 differ, 1e400 < 1e401. (Powers of ten beyond ±10^15 count
 * as ±10^15.) Arrays compare element by element; objects as their members sorted by name, so that member order does not
 * count; where one ends first it is the smaller. */
API int json_compare(slice a, slice b);

/* Appends an encoding of the value whose bytewise order is json_compare's order and that is
 * prefix-free. At most `max` bytes of it (> 0): *cut (may be NULL) tells whether it went on; then equal keys may
 * stand for different values, and the order is right up to there. */
API void json_sort_key(slice value, size_t max, struct buf *out, bool *cut);

/* Walks the members of a checked object (or elements of an array). Start with at = 0. E_END after
 * the last. `name` is the raw text between the quotes (may hold escapes); empty for arrays. E_INVALID when
 * `container` is neither, E_CORRUPT where unchecked bytes do not parse. */
API int json_next(slice container, size_t *at, slice *name, slice *value) MUST_CHECK;
/* Appends the unescaped bytes of a JSON string (with or without its quotes). */
API void json_unescape(slice string, struct buf *out);
/* Appends a quoted, escaped JSON string. Bytes that are not UTF-8 become U+FFFD, so the result is always valid. */
API void json_quote(slice bytes, struct buf *out);
/* The number as int64 if its value is an integer in range (1.0 and 1e2 are); false otherwise. */
API bool json_number_i64(slice value, int64_t *out);

#endif
