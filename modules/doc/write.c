/* DPUT and DDEL: new versions of a document. */
#include "modules/doc/doc.h"

static void reply_conflict_seq(struct call *c, slice key, uint64_t expected, uint64_t found)
{
    reply_error(c, "CONFLICT %.*s expected %llu found %llu", (int)(key.n > 200 ? 200 : key.n), (const char *)key.p,
                (unsigned long long)expected, (unsigned long long)found);
}

static void reply_conflict_hash(struct call *c, slice key, slice expected, const struct ks_value *v)
{
    char hex[2 * HASH_BYTES + 1] = "none";
    if (v != NULL && v->hash != NULL) hex_encode(hex, v->hash, HASH_BYTES);
    reply_error(c, "CONFLICT %.*s expected %.*s found %s", (int)(key.n > 200 ? 200 : key.n), (const char *)key.p, (int)expected.n,
                (const char *)expected.p, hex);
}

/* What was not read since the start has its hash in the log alone. */
bool doc_conditions_hold(struct call *c, slice key, const struct doc_options *o, const struct ks_value *v)
{
    uint64_t seq = v ? v->seq : 0;
    uint8_t hash[HASH_BYTES];
    struct ks_value with;
    if (v != NULL ? o->nx : o->xx) {
        reply_null(c);
        return false;
    }
    if (o->has_ifhash && v != NULL && v->hash == NULL) {
        if (!doc_hash_of(c, seq, hash)) return false;
        with = *v;
        with.hash = hash;
        v = &with;
    }
    if (o->has_ifseq && o->if_seq != seq) {
        reply_conflict_seq(c, key, o->if_seq, seq);
        return false;
    }
    if (o->has_ifhash) {
        uint8_t want[HASH_BYTES];
        bool hex = hex_decode(want, (const char *)o->if_hash.p, HASH_BYTES);
        if (!hex || v == NULL || v->hash == NULL || memcmp(want, v->hash, HASH_BYTES) != 0) {
            reply_conflict_hash(c, key, o->if_hash, v);
            return false;
        }
    }
    return true;
}

/* The live document under key: 1 and *v, 0 none, -1 replied. Bytes only when asked. */
int doc_live(struct call *c, slice key, bool bytes, struct ks_value *v)
{
    int r = bytes ? ks_get(&c->ks, key, v) : ks_stat(&c->ks, key, false, v);
    if (r == E_NOTFOUND) return 0;
    if (r != E_OK) {
        reply_failure(c, r);
        return -1;
    }
    if (v->type != TYPE_DOCUMENT) {
        reply_wrongtype(c);
        return -1;
    }
    return 1;
}

static void put_and_reply(struct call *c, slice key, slice json, struct doc_options *o)
{
    int r = ks_put(&c->ks, key, TYPE_DOCUMENT, json, &o->write);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    doc_reply_pair(c, o->receipt.seq, o->receipt.hash);
}

/* Without options nothing has to be known of what was there, and the hash may come late. */
static void put_plain(struct call *c, slice key, slice json)
{
    struct receipt receipt;
    const struct ks_write w = {.want_hash = true, .late_hash = true, .keep_type = true, .receipt = &receipt};
    int r = ks_put(&c->ks, key, TYPE_DOCUMENT, json, &w);
    if (r == E_CONFLICT) {
        reply_wrongtype(c);
    } else if (r != E_OK) {
        reply_failure(c, r);
    } else {
        notify_dirty(c, 1);
        reply_array(c, 2);
        reply_int(c, (int64_t)receipt.seq);
        reply_hash(c, &receipt);
    }
}

static void put_with_options(struct call *c, slice key, slice json)
{
    struct doc_options o;
    struct ks_value v;
    ks_hash_finish(&c->ks);
    if (!doc_options_parse(c, 3, DOC_OPT_CONDITIONS | DOC_OPT_IF | DOC_OPT_VALID | DOC_OPT_EXPIRY, &o)) return;
    if (o.write.idem.n && doc_answered_before(c, o.write.idem)) return;
    int live = doc_live(c, key, o.if_changed, &v);
    if (live < 0) return;
    if (!doc_conditions_hold(c, key, &o, live ? &v : NULL)) return;
    if (o.if_changed && live && slice_eq(v.blob, json)) {
        doc_reply_pair(c, v.seq, v.hash);
        return;
    }
    put_and_reply(c, key, json, &o);
}

void cmd_dput(struct call *c)
{
    struct json_fault fault;
    slice json;
    if (json_check(c->argv[2], &json, &fault) != E_OK)
        doc_badjson(c, &fault);
    else if (c->argc == 3)
        put_plain(c, c->argv[1], json);
    else
        put_with_options(c, c->argv[1], json);
}

/* A document that is absent because an interval of it was ended may still hold at other instants: then another interval can be ended too. 1 yes, 0 no, -1 replied. */
static int holds_in_part(struct call *c, slice key)
{
    struct db_view db = ks_db(&c->ks, c->ks.db);
    struct version v;
    if (doc_tx_wrote(c)) {
        doc_refuse_head(c);
        return -1;
    }
    int r = engine_catch_up(doc_engine(c), 0);
    if (r == E_OK) r = engine_find(doc_engine(c), SPACE_KEY, db.lineage, key, UINT64_MAX, FIND_ALL, &v);
    if (r == E_NOTFOUND || r == E_PRUNED) return 0;
    if (r == E_OK) return v.op == NODE_DELETE && v.type == TYPE_DOCUMENT && (v.flags & NODE_VALID) && v.seq > db.flushed;
    reply_failure(c, r);
    return -1;
}

void cmd_ddel(struct call *c)
{
    struct doc_options o;
    struct ks_value v;
    slice key = c->argv[1];
    if (!doc_options_parse(c, 2, DOC_OPT_IF | DOC_OPT_VALID, &o)) return;
    if (o.write.idem.n && doc_answered_before(c, o.write.idem)) return;
    int live = doc_live(c, key, false, &v);
    if (live < 0) return;
    if (!doc_conditions_hold(c, key, &o, live ? &v : NULL)) return;
    int part = !live && o.write.has_valid ? holds_in_part(c, key) : 0;
    if (part < 0) return;
    if (!live && !part) {
        reply_null(c);
        return;
    }
    int r = live ? ks_delete(&c->ks, key, &o.write) : ks_end_interval(&c->ks, key, &o.write);
    if (r != E_OK) {
        reply_failure(c, r);
        return;
    }
    notify_dirty(c, 1);
    doc_reply_pair(c, o.receipt.seq, o.receipt.hash);
}
