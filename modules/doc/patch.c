/* DPATCH: a new version of a document by what changes. The patch is applied to the stored bytes; the result is checked as DPUT checks, which finds nothing
 * but nesting: every piece of it has been checked before. */
#include "modules/doc/patch.h"
#include "modules/doc/doc.h"

static void reply_bad_patch(struct call *c, size_t op, const char *why)
{
    reply_error(c, "BADPATCH op %zu: %s", op, why);
}

/* The patched document into *out; false: replied. */
static bool apply(struct call *c, bool ops, slice doc, slice patch, struct buf *out)
{
    struct patch_tree t;
    struct json_fault fault;
    size_t op = 0;
    patch_tree_init(&t, doc);
    const char *why = ops ? patch_ops(&t, patch, limit_string_bytes(), &op) : patch_merge(&t, patch, limit_string_bytes());
    if (!why) {
        buf_reserve(out, doc.n + t.bytes_added + 16);
        patch_write(t.root, out);
    }
    patch_tree_fini(&t);
    if (!why && json_check(buf_slice(out), NULL, &fault) != E_OK) {
        why = fault.why;
        if (op > 0) op--; /* operations that each may nest: the last one is as good as any */
    }
    if (why)
        reply_bad_patch(c, op, why);
    else if (out->n > limit_string_bytes())
        reply_failure(c, E_TOOBIG);
    else
        return true;
    return false;
}

static void write_version(struct call *c, slice key, slice json, struct doc_options *o)
{
    int r = ks_put(&c->ks, key, TYPE_DOCUMENT, json, &o->write);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    doc_reply_pair(c, o->receipt.seq, o->receipt.hash);
}

void cmd_dpatch(struct call *c)
{
    struct doc_options o;
    struct json_fault fault;
    struct ks_value v;
    struct buf result = {0};
    slice key = c->argv[1], patch;
    bool ops = arg_is(c, 2, "OPS");
    if (!ops && !arg_is(c, 2, "MERGE")) {
        reply_syntax(c);
        return;
    }
    if (json_check(c->argv[3], &patch, &fault) != E_OK) {
        doc_badjson(c, &fault);
        return;
    }
    if (!doc_options_parse(c, 4, DOC_OPT_CONDITIONS | DOC_OPT_IF | DOC_OPT_VALID | DOC_OPT_EXPIRY, &o)) return;
    if (o.write.idem.n && doc_answered_before(c, o.write.idem)) return;
    int live = doc_live(c, key, true, &v);
    if (live < 0) return;
    if (!doc_conditions_hold(c, key, &o, live ? &v : NULL)) return;
    if (!live) {
        reply_null(c);
        return;
    }
    if (apply(c, ops, v.blob, patch, &result)) {
        if (o.if_changed && slice_eq(v.blob, buf_slice(&result)))
            doc_reply_pair(c, v.seq, v.hash);
        else
            write_version(c, key, buf_slice(&result), &o);
    }
    buf_fini(&result);
}
