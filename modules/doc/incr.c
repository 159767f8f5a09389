/* DINCRBY: adds to one number of a document, in place: every other byte stays. A missing last member comes to be, from 0. */
#include "modules/doc/doc.h"
#include "modules/doc/number.h"
#include "modules/doc/patch_tree.h"

static bool bad_path(struct call *c, slice text, const char *why)
{
    reply_error(c, "BADPATH '%.*s': %s", (int)(text.n > 80 ? 80 : text.n), (const char *)text.p, why);
    return false;
}

/* The piece at the path; *made when it was not there and is 0 now. */
static bool locate(struct call *c, struct patch_tree *t, slice text, struct patch_piece **found)
{
    struct json_path path;
    struct patch_piece *p = t->root;
    if (json_path_parse(text, &path) != E_OK) {
        reply_error(c, "BADPATH '%.*s'", (int)(text.n > 80 ? 80 : text.n), (const char *)text.p);
        return false;
    }
    for (size_t i = 0; i < path.n; i++) {
        const struct json_step *s = &path.step[i];
        if (!patch_open(t, p) || (p->kind == PATCH_OBJECT) != (s->index < 0))
            return bad_path(c, text, "leads into another kind of value");
        if (s->index >= 0) {
            if ((uint64_t)s->index >= p->n) return bad_path(c, text, "no such element");
            p = patch_child_at(p, (size_t)s->index)->value;
            continue;
        }
        slice name = patch_text(t, s->name);
        struct patch_child *child = patch_member(t, p, name);
        if (!child && i + 1 < path.n) return bad_path(c, text, "no such member");
        if (!child) patch_add_member(t, p, name, patch_raw(t, slice_str("0")));
        p = child ? child->value : p->child[p->n - 1].value;
    }
    if (!patch_spend(t, 0)) {
        reply_failure(c, E_TOOBIG);
        return false;
    }
    *found = p;
    return true;
}

/* The document after the addition into *out and the number alone into `sum`; false: replied. */
static bool add(struct call *c, slice doc, slice by, struct buf *out, slice *sum, char text[NUMBER_TEXT_MAX])
{
    struct patch_tree t;
    struct patch_piece *p;
    bool done = false;
    patch_tree_init(&t, doc);
    if (!locate(c, &t, c->argv[2], &p)) goto end;
    if (p->kind != PATCH_RAW || json_type_of(p->raw) != JSON_NUMBER) {
        (void)bad_path(c, c->argv[2], "is no number");
        goto end;
    }
    size_t n = 0;
    enum number_sum r = number_add(p->raw, by, text, &n);
    if (r != NUMBER_OK) {
        reply_error(c, r == NUMBER_OVERFLOW ? "ERR increment or decrement would overflow"
                                            : "ERR increment would produce NaN or Infinity");
        goto end;
    }
    *sum = slice_of(text, n);
    p->raw = *sum;
    patch_write(t.root, out);
    done = true;
end:
    patch_tree_fini(&t);
    return done;
}

static void write_and_reply(struct call *c, slice json, slice sum, struct doc_options *o)
{
    int r = ks_put(&c->ks, c->argv[1], TYPE_DOCUMENT, json, &o->write);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    reply_array(c, 3);
    reply_bulk(c, sum);
    reply_int(c, (int64_t)o->receipt.seq);
    doc_reply_hash(c, o->receipt.hash);
}

/* A repeated token: the value is read where the first call left it, in the version that it wrote. */
static void reply_again(struct call *c, const struct node_ref *ref)
{
    struct buf mem = {0};
    struct node n;
    struct json_path path;
    struct ks_value v;
    slice json = {0}, sum;
    int r = engine_read(doc_engine(c), ref->seq, &mem, &n);
    if (r == E_OK && n.type == TYPE_DOCUMENT && n.op == NODE_PUT)
        json = n.payload;
    else if (r == E_NOTFOUND && ks_get(&c->ks, c->argv[1], &v) == E_OK && v.seq == ref->seq)
        json = v.blob; /* written by this transaction, and still what stands */
    if (r != E_OK && r != E_NOTFOUND) {
        reply_failure(c, r);
    } else if (json.n == 0 && r == E_NOTFOUND) {
        doc_reply_unlogged(c);
    } else {
        reply_array(c, 3);
        if (json.n && json_path_parse(c->argv[2], &path) == E_OK && json_find(json, &path, &sum) == E_OK)
            reply_bulk(c, sum);
        else
            reply_null(c); /* the token was used for something else */
        reply_int(c, (int64_t)ref->seq);
        doc_reply_hash(c, ref->hash);
    }
    buf_fini(&mem);
}

static bool answered_before(struct call *c, slice token)
{
    struct buf refs = {0};
    struct node_ref newest;
    int seen = doc_idem_nodes(c, token, &refs);
    if (seen > 0) {
        memcpy(&newest, refs.p + refs.n - sizeof newest, sizeof newest);
        reply_again(c, &newest);
    }
    buf_fini(&refs);
    return seen != 0;
}

void cmd_dincrby(struct call *c)
{
    struct doc_options o;
    struct ks_value v;
    struct buf result = {0};
    slice key = c->argv[1], by, sum;
    char text[NUMBER_TEXT_MAX];
    if (json_check(c->argv[3], &by, NULL) != E_OK || json_type_of(by) != JSON_NUMBER) {
        reply_error(c, "ERR value is not a number");
        return;
    }
    if (!doc_options_parse(c, 4, DOC_OPT_CONDITIONS | DOC_OPT_IF | DOC_OPT_VALID | DOC_OPT_EXPIRY, &o)) return;
    if (o.write.idem.n && answered_before(c, o.write.idem)) return;
    int live = doc_live(c, key, true, &v);
    if (live < 0) return;
    if (!doc_conditions_hold(c, key, &o, live ? &v : NULL)) return;
    if (!live)
        reply_null(c);
    else if (add(c, v.blob, by, &result, &sum, text)) {
        if (o.if_changed && slice_eq(v.blob, buf_slice(&result))) {
            reply_array(c, 3), reply_bulk(c, sum), reply_int(c, (int64_t)v.seq), doc_reply_hash(c, v.hash);
        } else
            write_and_reply(c, buf_slice(&result), sum, &o);
    }
    buf_fini(&result);
}
