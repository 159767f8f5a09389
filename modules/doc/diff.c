/* DDIFF: what changed in a document between two points, as a patch that DPATCH takes. */
#include "modules/doc/doc.h"
#include "modules/doc/patch.h"

/* The document at a point into *mem; false: replied. */
static bool load(struct call *c, slice key, slice point, struct buf *mem, slice *json)
{
    struct doc_place at;
    struct ks_value v;
    if (!doc_point(c, point, &at)) return false;
    int r = ks_get_at(&c->ks, key, at.seq, KS_ANY_VALID, mem, &v);
    if (r == E_OK && doc_expired(&at, v.expire_ms)) r = E_NOTFOUND;
    if (r == E_OK && v.type == TYPE_DOCUMENT) {
        *json = v.blob;
        return true;
    }
    if (r == E_OK)
        reply_wrongtype(c);
    else if (r == E_NOTFOUND)
        reply_error(c, "NOKEY no such document '%.*s' at '%.*s'", (int)(key.n > 200 ? 200 : key.n), (const char *)key.p,
                    (int)(point.n > 80 ? 80 : point.n), (const char *)point.p);
    else if (r == E_PRUNED)
        doc_reply_pruned(c, key, v.seq);
    else
        reply_failure(c, r);
    return false;
}

void cmd_ddiff(struct call *c)
{
    struct buf from_mem = {0}, to_mem = {0}, out = {0}, pointer = {0};
    slice key = c->argv[1], from, to;
    bool merge = arg_is(c, 4, "MERGE");
    if (c->argc > 5 || (c->argc == 5 && !merge && !arg_is(c, 4, "OPS"))) {
        reply_syntax(c);
        return;
    }
    if (!load(c, key, c->argv[2], &from_mem, &from) || !load(c, key, c->argv[3], &to_mem, &to)) goto done;
    if (!merge) patch_diff_ops(from, to, &out);
    if (merge && !patch_diff_merge(from, to, &out, &pointer))
        reply_error(c, "BADPATCH a merge patch cannot say the null at '%.*s': ask for OPS",
                    (int)(pointer.n > 200 ? 200 : pointer.n), (const char *)pointer.p);
    else if (out.n == 0)
        reply_null(c);
    else
        reply_bulk(c, buf_slice(&out));
done:
    buf_fini(&from_mem);
    buf_fini(&to_mem);
    buf_fini(&out);
    buf_fini(&pointer);
}
