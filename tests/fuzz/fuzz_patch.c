/* Patches of documents: a document, a zero byte, a patch (or another document), behind a byte that says what to do with them.
 * Whatever comes out is a document; the way from one to the other leads there; what is refused says why. */
#include "modules/doc/patch.h"

#include <stdlib.h>

#define MUST(e) ((e) ? (void)0 : abort())
#define BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only nesting can be wrong with a patched document. */
static bool written(struct patch_tree *t, struct buf *out)
{
    struct json_fault fault;
    patch_write(t->root, out);
    MUST(out->n <= t->bytes_added + (t->work_max - PATCH_WORK_MAX) / 8 + 16);
    if (json_check(buf_slice(out), NULL, &fault) == E_OK) return true;
    MUST(strcmp(fault.why, "nested too deep") == 0);
    return false;
}

static bool apply(slice doc, slice patch, bool ops, struct buf *out)
{
    struct patch_tree t;
    size_t op = 0;
    patch_tree_init(&t, doc);
    const char *why = ops ? patch_ops(&t, patch, BYTES_MAX, &op) : patch_merge(&t, patch, BYTES_MAX);
    bool good = why ? (MUST(*why), false) : written(&t, out);
    patch_tree_fini(&t);
    return good;
}

static void there(slice from, slice to)
{
    struct buf patch = {0}, got = {0}, pointer = {0};
    bool equal = json_compare(from, to) == 0;
    patch_diff_ops(from, to, &patch);
    MUST((patch.n == 0) == equal);
    if (!equal) MUST(json_check(buf_slice(&patch), NULL, NULL) == E_OK && apply(from, buf_slice(&patch), true, &got) && json_compare(buf_slice(&got), to) == 0);
    buf_clear(&patch), buf_clear(&got);
    if (patch_diff_merge(from, to, &patch, &pointer)) {
        MUST((patch.n == 0) == equal);
        if (!equal) MUST(json_check(buf_slice(&patch), NULL, NULL) == E_OK && apply(from, buf_slice(&patch), false, &got) && json_compare(buf_slice(&got), to) == 0);
    }
    buf_fini(&patch), buf_fini(&got), buf_fini(&pointer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 1u << 16) return 0;
    const uint8_t *zero = memchr(data + 1, 0, size - 1);
    if (!zero) return 0;
    slice doc, patch;
    if (json_check(slice_of(data + 1, (size_t)(zero - data - 1)), &doc, NULL) != E_OK) return 0;
    if (json_check(slice_of(zero + 1, (size_t)(data + size - zero - 1)), &patch, NULL) != E_OK) return 0;
    struct buf out = {0};
    if (data[0] % 3 == 2)
        there(doc, patch);
    else
        (void)apply(doc, patch, data[0] % 3 == 0, &out);
    buf_fini(&out);
    return 0;
}
