/* One input of bytes: what the scanner accepts must work everywhere else, what it refuses must do no harm.
 * An entry in libFuzzer's form; the first byte chooses a path and a cut. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())

static int sign(int c) { return (c > 0) - (c < 0); }

/* Every value below (and the value itself): its key orders it as json_compare does against its neighbours. */
static size_t walk(slice value, unsigned depth)
{
    struct buf key = {0}, before_key = {0};
    slice name, v, before = {NULL, 0};
    size_t at = 0, seen = 1;
    int r = E_INVALID;
    MUST(depth <= JSON_DEPTH_MAX);
    while ((r = json_next(value, &at, &name, &v)) == E_OK) {
        MUST(at <= value.n && v.n > 0 && v.p > value.p && v.p + v.n <= value.p + value.n);
        buf_clear(&key);
        json_sort_key(v, SIZE_MAX, &key, NULL);
        MUST(json_compare(v, v) == 0);
        if (before.p) MUST(sign(json_compare(before, v)) == sign(slice_cmp(buf_slice(&before_key), buf_slice(&key))));
        struct buf t = before_key;
        before_key = key, key = t;
        before = v;
        if (depth < 6) seen += walk(v, depth + 1); /* deeper ones were compared above; the cost stays bounded */
    }
    enum json_type type = json_type_of(value);
    MUST(r == (type == JSON_ARRAY || type == JSON_OBJECT ? E_END : E_INVALID));
    buf_fini(&key);
    buf_fini(&before_key);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"$", "a", "[0]", "a.b", "[1].a", "[\"\\u0061\"]", "a[0][0]"};
    if (size == 0) return 0;
    slice text = {data + 1, size - 1}, trimmed, v;
    struct json_path path;
    struct json_fault fault = {SIZE_MAX, NULL};
    MUST(json_path_parse(slice_str(paths[data[0] % 7]), &path) == E_OK);
    (void)(json_path_parse(text, &path) == E_OK && json_find(text, &path, &v) == E_OK);
    MUST(json_path_parse(slice_str(paths[data[0] % 7]), &path) == E_OK);

    struct buf key = {0}, plain = {0};
    bool cut;
    int r = json_check(text, &trimmed, &fault);
    int found = json_find(r ? text : trimmed, &path, &v);
    json_sort_key(text, 1 + data[0], &key, &cut);
    MUST(key.n <= 1 + (size_t)data[0]);
    json_quote(text, &plain);
    MUST(json_check(buf_slice(&plain), NULL, NULL) == E_OK);
    if (r == E_OK) {
        MUST(found == E_OK || found == E_NOTFOUND);
        slice again;
        if (found == E_OK) MUST(json_check(v, &again, NULL) == E_OK && slice_eq(again, v));
        (void)walk(trimmed, 0);
    } else {
        MUST(r == E_SYNTAX && fault.at <= text.n && fault.why);
        MUST(found == E_OK || found == E_NOTFOUND || found == E_CORRUPT);
    }
    buf_fini(&key);
    buf_fini(&plain);
    return 0;
}
