/* DREVERT of one key: a new version with the value that an older one had. A key that was not there at the point is deleted. Any type whose value is one blob. */
#include "modules/doc/doc.h"

struct past {
    bool there;
    struct ks_value v;
    struct buf mem;
};

static bool load_past(struct call *c, slice key, slice point, struct past *p)
{
    struct doc_place at;
    if (!doc_point(c, point, &at)) return false;
    int r = ks_get_at(&c->ks, key, at.seq, KS_ANY_VALID, &p->mem, &p->v);
    if (r == E_OK && doc_expired(&at, p->v.expire_ms)) r = E_NOTFOUND;
    p->there = r == E_OK;
    if (r == E_PRUNED)
        doc_reply_pruned(c, key, p->v.seq);
    else if (r != E_OK && r != E_NOTFOUND)
        reply_failure(c, r);
    else if (p->there && p->v.type != TYPE_STRING && p->v.type != TYPE_DOCUMENT)
        reply_wrongtype(c);
    else
        return true;
    return false;
}

static bool is_equal(const struct ks_value *now, const struct past *p)
{
    if (!now || !p->there) return !now && !p->there;
    return now->type == p->v.type && slice_eq(now->blob, p->v.blob);
}

static void write_back(struct call *c, slice key, struct past *p, struct doc_options *o)
{
    int r;
    if (p->there) {
        o->write.flags = p->v.flags & NODE_ENC_RAW;
        r = ks_put(&c->ks, key, p->v.type, p->v.blob, &o->write);
    } else {
        o->write.expiry = KS_EXPIRY_CLEAR;
        r = ks_delete(&c->ks, key, &o->write);
    }
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    doc_reply_pair(c, o->receipt.seq, o->receipt.hash);
}

static void revert_key(struct call *c, slice key, struct past *p, struct doc_options *o)
{
    struct ks_value v;
    int r = ks_get(&c->ks, key, &v);
    if (r != E_OK && r != E_NOTFOUND) {
        reply_failure(c, r);
        return;
    }
    bool live = r == E_OK;
    if (!doc_conditions_hold(c, key, o, live ? &v : NULL)) return;
    if (is_equal(live ? &v : NULL, p))
        reply_null(c);
    else
        write_back(c, key, p, o);
}

void cmd_drevert(struct call *c)
{
    struct doc_options o;
    struct past p = {0};
    slice key = c->argv[1];
    if (doc_revert_many(c)) return;
    if (!doc_options_parse(c, 3, DOC_OPT_CONDITIONS | DOC_OPT_IF | DOC_OPT_VALID | DOC_OPT_EXPIRY, &o)) return;
    if (o.write.idem.n && doc_answered_before(c, o.write.idem)) return;
    if (load_past(c, key, c->argv[2], &p)) revert_key(c, key, &p, &o);
    buf_fini(&p.mem);
}
