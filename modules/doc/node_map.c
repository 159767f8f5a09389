/* One pass, one reservation: the longest row is known beforehand, so each field is a copy of its prepared name and a few digits.
 *
 * Rows of nodes wait until there are DOC_VIEWS_MAX, or until they hold QUEUE_BYTES: hashing four nodes at once costs little more than hashing one, and the places in memory
 * that tell whether they are live are fetched side by side. */
#include "modules/doc/node_map.h"

#define FIXED_BYTES 640 /* names, numbers, hash and nils of any row, with room to spare */
#define CAUSE_BYTES 112 /* [seq, hash] */
#define TAIL_BYTES  96

#define QUEUE_BYTES ((size_t)256 << 10)
#define QUEUE_KEEPS ((size_t)16 << 10) /* of a row's buffer, for the next one */

struct node_maps_queue {
    struct doc_view view[DOC_VIEWS_MAX];
    uint32_t depth[DOC_VIEWS_MAX];
    size_t n, bytes;
};

#define PUT(p, literal) put_bytes(p, literal, sizeof(literal) - 1)

static inline uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

static inline uint8_t *put_end(uint8_t *p)
{
    p[0] = '\r', p[1] = '\n';
    return p + 2;
}

/* kind: ':' for a number, '$', '*' or '%' for a header. */
static inline uint8_t *put_number(uint8_t *p, char kind, int64_t v)
{
    *p++ = (uint8_t)kind;
    if (v >= 0 && v < 10)
        *p++ = (uint8_t)('0' + v);
    else
        p += num_format_i64((char *)p, v);
    return put_end(p);
}

static inline uint8_t *put_bulk(uint8_t *p, slice s)
{
    p = put_number(p, '$', (int64_t)s.n);
    if (s.n) p = put_bytes(p, s.p, s.n);
    return put_end(p);
}

static inline uint8_t *put_null(uint8_t *p, int resp)
{
    return resp >= 3 ? PUT(p, "_\r\n") : PUT(p, "$-1\r\n");
}

static inline uint8_t *put_hash(uint8_t *p, const uint8_t hash[HASH_BYTES])
{
    p = PUT(p, "$64\r\n");
    hex_digits((char *)p, hash, HASH_BYTES);
    return put_end(p + 2 * HASH_BYTES);
}

static uint8_t *put_optional(uint8_t *p, int resp, bool given, int64_t v)
{
    return given ? put_number(p, ':', v) : put_null(p, resp);
}

/* What a client calls the operation: links, tags and the rest have words of their own. */
static const char *op_word(const struct node *n)
{
    static const char *const put[] = {"put", "link", "tag", "retain", "index"};
    static const char *const gone[] = {"delete", "unlink", "untag", "unretain", "unindex"};
    if (n->space <= SPACE_SORTED && n->op == NODE_PUT) return put[n->space];
    if (n->space <= SPACE_SORTED && n->op == NODE_DELETE) return gone[n->space];
    return node_op_name(n->op);
}

static void add_part(struct buf *out, slice part)
{
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] == ' ' || part.p[i] == '\\') buf_add_byte(out, '\\');
        buf_add_byte(out, part.p[i]);
    }
}

void node_map_link_name(struct buf *out, slice from, slice rel, slice to)
{
    add_part(out, from);
    buf_add_byte(out, ' ');
    add_part(out, rel);
    buf_add_byte(out, ' ');
    add_part(out, to);
}

static uint8_t *put_link_name(uint8_t *p, slice key)
{
    slice from, rel, to;
    struct buf name = {0};
    if (link_key_parse(key, &from, &rel, &to) == E_OK)
        node_map_link_name(&name, from, rel, to);
    else
        buf_add_slice(&name, key);
    p = put_bulk(p, buf_slice(&name));
    buf_fini(&name);
    return p;
}

static uint8_t *put_name(uint8_t *p, int resp, const struct node *n)
{
    if (!doc_node_has_key(n)) return put_null(p, resp);
    return n->space == SPACE_LINK ? put_link_name(p, n->key) : put_bulk(p, n->key);
}

static uint8_t *put_causes(uint8_t *p, const struct node *n)
{
    struct node_ref ref;
    p = put_number(p, '*', n->n_causes);
    for (uint32_t i = 0; i < n->n_causes; i++) {
        node_cause(n, i, &ref);
        p = PUT(p, "*2\r\n");
        p = put_number(p, ':', (int64_t)ref.seq);
        p = put_hash(p, ref.hash);
    }
    return p;
}

static uint8_t *put_interval(uint8_t *p, int resp, const struct node *n)
{
    bool from = n->has_valid && n->valid_from != INT64_MIN && n->valid_from != INT64_MAX;
    bool to = n->has_valid && n->valid_to != INT64_MIN && n->valid_to != INT64_MAX;
    p = PUT(p, "$10\r\nvalid_from\r\n");
    p = put_optional(p, resp, from, n->valid_from);
    p = PUT(p, "$8\r\nvalid_to\r\n");
    return put_optional(p, resp, to, n->valid_to);
}

static uint8_t *put_node(uint8_t *p, int resp, const struct doc_view *v)
{
    static const char *const states[] = {
        [DOC_LIVE] = "$4\r\nlive\r\n", [DOC_OLD] = "$3\r\nold\r\n", [DOC_DELETED] = "$7\r\ndeleted\r\n", [DOC_PRUNED] = "$6\r\npruned\r\n"};
    const struct node *n = &v->node;
    p = PUT(p, "$3\r\nkey\r\n");
    p = put_name(p, resp, n);
    p = PUT(p, "$3\r\nseq\r\n");
    p = put_number(p, ':', (int64_t)v->seq);
    p = PUT(p, "$3\r\nver\r\n");
    p = put_number(p, ':', (int64_t)n->ver);
    p = PUT(p, "$4\r\nhash\r\n");
    p = put_hash(p, v->hash);
    p = PUT(p, "$4\r\nprev\r\n");
    p = put_optional(p, resp, n->prev != 0, (int64_t)n->prev);
    p = PUT(p, "$2\r\nts\r\n");
    p = put_number(p, ':', (int64_t)n->ts_ms);
    p = PUT(p, "$2\r\nop\r\n");
    p = put_bulk(p, slice_str(op_word(n)));
    p = PUT(p, "$5\r\nstate\r\n");
    p = put_bytes(p, states[v->state], strlen(states[v->state]));
    p = PUT(p, "$2\r\nby\r\n");
    p = n->by.n ? put_bulk(p, n->by) : PUT(p, "$7\r\ndefault\r\n");
    p = PUT(p, "$4\r\nnote\r\n");
    p = n->note.n ? put_bulk(p, n->note) : put_null(p, resp);
    p = put_interval(p, resp, n);
    p = PUT(p, "$9\r\ncaused_by\r\n");
    p = put_causes(p, n);
    p = PUT(p, "$6\r\ncommit\r\n*2\r\n");
    p = put_number(p, ':', (int64_t)v->commit_first);
    p = put_number(p, ':', (int64_t)v->commit_last);
    return PUT(p, "$4\r\ndata\r\n");
}

/* Only its seq and hash are known. */
static uint8_t *put_pruned(uint8_t *p, int resp, const struct doc_view *v)
{
    static const char *const nils[] = {"$2\r\nby\r\n", "$4\r\nnote\r\n", "$10\r\nvalid_from\r\n", "$8\r\nvalid_to\r\n"};
    p = PUT(p, "$3\r\nkey\r\n");
    p = put_null(p, resp);
    p = PUT(p, "$3\r\nseq\r\n");
    p = put_number(p, ':', (int64_t)v->seq);
    p = PUT(p, "$3\r\nver\r\n");
    p = put_null(p, resp);
    p = PUT(p, "$4\r\nhash\r\n");
    p = put_hash(p, v->hash);
    p = PUT(p, "$4\r\nprev\r\n");
    p = put_null(p, resp);
    p = PUT(p, "$2\r\nts\r\n");
    p = put_null(p, resp);
    p = PUT(p, "$2\r\nop\r\n");
    p = put_null(p, resp);
    p = PUT(p, "$5\r\nstate\r\n$6\r\npruned\r\n");
    for (size_t i = 0; i < sizeof nils / sizeof *nils; i++) {
        p = put_bytes(p, nils[i], strlen(nils[i]));
        p = put_null(p, resp);
    }
    p = PUT(p, "$9\r\ncaused_by\r\n*0\r\n$6\r\ncommit\r\n");
    p = put_null(p, resp);
    return PUT(p, "$4\r\ndata\r\n");
}

/* Up to the name of `data`. */
static void encode_head(struct buf *out, int resp, const struct doc_view *v, uint32_t depth)
{
    const struct node *n = &v->node;
    size_t room = FIXED_BYTES;
    if (!v->pruned) room += 2 * n->key.n + n->by.n + n->note.n + (size_t)n->n_causes * CAUSE_BYTES;
    uint8_t *start = buf_reserve(out, room), *p = start;
    unsigned fields = DOC_MAP_FIELDS + (depth != NODE_MAP_NO_DEPTH);
    p = resp >= 3 ? put_number(p, '%', fields) : put_number(p, '*', 2 * fields);
    if (depth != NODE_MAP_NO_DEPTH) {
        p = PUT(p, "$5\r\ndepth\r\n");
        p = put_number(p, ':', depth);
    }
    p = v->pruned ? put_pruned(p, resp, v) : put_node(p, resp, v);
    ASSERT((size_t)(p - start) <= room);
    out->n += (size_t)(p - start);
}

static void encode_data(struct buf *out, int resp, const slice *data)
{
    uint8_t *p = buf_reserve(out, (data ? data->n : 0) + 32), *end = data ? put_bulk(p, *data) : put_null(p, resp);
    out->n += (size_t)(end - p);
}

static const char *type_word(const struct node *n)
{
    static const char *const words[] = {[TYPE_STRING] = "string", [TYPE_LIST] = "list",     [TYPE_SET] = "set",           [TYPE_ZSET] = "zset",
                                        [TYPE_HASH] = "hash",     [TYPE_STREAM] = "stream", [TYPE_DOCUMENT] = "document", [TYPE_MODULE] = "module"};
    bool known = n->space == SPACE_KEY && doc_node_has_key(n) && n->type < sizeof words / sizeof *words;
    return known ? words[n->type] : NULL;
}

/* What came to the map later: who follows the log needs both to have the state. */
static void encode_tail(struct buf *out, int resp, const struct doc_view *v)
{
    const char *type = v->pruned ? NULL : type_word(&v->node);
    uint8_t *start = buf_reserve(out, TAIL_BYTES), *p = PUT(start, "$4\r\ntype\r\n");
    p = type ? put_bulk(p, slice_str(type)) : put_null(p, resp);
    p = PUT(p, "$7\r\nexpires\r\n");
    p = put_optional(p, resp, !v->pruned && v->node.expire_ms != 0, (int64_t)v->node.expire_ms);
    ASSERT((size_t)(p - start) <= TAIL_BYTES);
    out->n += (size_t)(p - start);
}

void node_map_encode(struct buf *out, int resp, const struct doc_view *v, const slice *data, uint32_t depth)
{
    encode_head(out, resp, v, depth);
    encode_data(out, resp, data);
    encode_tail(out, resp, v);
}

/* ---- elements ---- */

void node_map_add_header(struct buf *out, int resp, size_t pairs)
{
    uint8_t *p = buf_reserve(out, 32);
    out->n += (size_t)((resp >= 3 ? put_number(p, '%', (int64_t)pairs) : put_number(p, '*', 2 * (int64_t)pairs)) - p);
}

void node_map_add_bulk(struct buf *out, slice s)
{
    encode_data(out, 3, &s);
}

void node_map_add_int(struct buf *out, int64_t v)
{
    uint8_t *p = buf_reserve(out, 32);
    out->n += (size_t)(put_number(p, ':', v) - p);
}

void node_map_add_null(struct buf *out, int resp)
{
    encode_data(out, resp, NULL);
}

void node_map_add_hash(struct buf *out, const uint8_t hash[HASH_BYTES])
{
    uint8_t *p = buf_reserve(out, 2 * HASH_BYTES + 16);
    out->n += (size_t)(put_hash(p, hash) - p);
}

/* ---- rows ---- */

static struct buf *open_row(struct node_maps *m)
{
    if (!m->pile)
        m->pile = reply_pile_new();
    else
        reply_pile_grown(m->pile);
    return reply_pile_open(m->pile);
}

static void add_error(struct call *c, struct node_maps *m, int code)
{
    (void)open_row(m);
    reply_pile_begin(c, m->pile);
    reply_failure(c, code);
    reply_pile_end(c, m->pile);
}

static void add_failure(struct call *c, struct node_maps *m, int code)
{
    add_error(c, m, code);
    m->n++;
}

static void add_view(struct call *c, struct node_maps *m, const struct doc_view *v, uint32_t depth)
{
    slice data;
    struct buf mem = {0};
    encode_head(open_row(m), c->resp, v, depth);
    int r = m->with_data ? doc_view_data(c, v, &mem, &data) : E_NOTFOUND;
    if (r == E_OK || r == E_NOTFOUND)
        encode_data(reply_pile_open(m->pile), c->resp, r == E_OK ? &data : NULL);
    else
        add_error(c, m, r); /* in its place: the other fields are still answered */
    encode_tail(reply_pile_open(m->pile), c->resp, v);
    m->n++;
    buf_fini(&mem);
}

/* Encodes the rows that wait. */
static void settle(struct call *c, struct node_maps *m)
{
    struct node_maps_queue *q = m->queue;
    int code[DOC_VIEWS_MAX];
    if (!q || q->n == 0) return;
    doc_views_finish(c, q->view, q->n, code);
    m->n -= q->n;
    for (size_t i = 0; i < q->n; i++) {
        if (code[i] == E_OK)
            add_view(c, m, &q->view[i], q->depth[i]);
        else
            add_failure(c, m, code[i]);
        if (q->view[i].mem.cap > QUEUE_KEEPS) buf_fini(&q->view[i].mem);
    }
    q->n = q->bytes = 0;
}

int node_maps_read(struct call *c, struct node_maps *m, uint64_t seq, uint32_t depth, const struct doc_view **v)
{
    struct node_maps_queue *q = m->queue;
    if (!q) q = m->queue = mem_zalloc(sizeof *q);
    if (q->n == DOC_VIEWS_MAX || q->bytes >= QUEUE_BYTES) settle(c, m);
    struct doc_view *at = &q->view[q->n];
    int r = doc_view_read(c, seq, at);
    *v = r == E_OK ? at : NULL;
    if (r != E_OK) {
        node_maps_add_failure(c, m, r);
        return r;
    }
    q->depth[q->n++] = depth;
    q->bytes += at->raw.n;
    m->n++;
    return E_OK;
}

void node_maps_add(struct call *c, struct node_maps *m, uint64_t seq, uint32_t depth)
{
    const struct doc_view *v;
    int r = node_maps_read(c, m, seq, depth, &v);
    (void)r; /* a failure is the row */
}

void node_maps_add_view(struct call *c, struct node_maps *m, const struct doc_view *v, uint32_t depth)
{
    settle(c, m);
    add_view(c, m, v, depth);
}

void node_maps_add_failure(struct call *c, struct node_maps *m, int code)
{
    settle(c, m);
    add_failure(c, m, code);
}

struct buf *node_maps_row(struct call *c, struct node_maps *m)
{
    settle(c, m);
    m->n++;
    return open_row(m);
}

void node_maps_reply(struct call *c, struct node_maps *m)
{
    settle(c, m);
    if (m->pile) reply_pile_give(c, m->pile);
    m->n = 0;
}

void node_maps_clear(struct node_maps *m)
{
    if (m->pile) reply_pile_clear(m->pile);
    if (m->queue) m->queue->n = m->queue->bytes = 0;
    m->n = 0;
}

void node_maps_fini(struct node_maps *m)
{
    reply_pile_free(&m->pile);
    doc_view_fini(&m->view);
    for (size_t i = 0; m->queue && i < DOC_VIEWS_MAX; i++) doc_view_fini(&m->queue->view[i]);
    mem_free(m->queue);
    m->queue = NULL;
    m->n = 0;
}

void node_map_reply(struct call *c, const struct doc_view *v, const slice *data, int data_code)
{
    struct buf b = {0};
    encode_head(&b, c->resp, v, NODE_MAP_NO_DEPTH);
    if (data_code == E_OK || data_code == E_NOTFOUND) {
        encode_data(&b, c->resp, data_code == E_OK ? data : NULL);
    } else {
        reply_encoded(c, buf_slice(&b));
        buf_clear(&b);
        reply_failure(c, data_code); /* in its place */
    }
    encode_tail(&b, c->resp, v);
    reply_encoded(c, buf_slice(&b));
    buf_fini(&b);
}
