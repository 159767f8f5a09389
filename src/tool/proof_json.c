/* The JSON of a proof. The reader is tolerant of one thing only: bytes in strings that are no UTF-8, since redis-cli writes a node's bytes as they are.
 * Members that a proof does not have are passed over; one that occurs twice is refused. */
#include "base/num.h"
#include "tool/proof.h"

#include <stdlib.h>

#define NESTING_MAX 64

struct text {
    const uint8_t *p, *end;
    const char *why;
};

static void blank(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\n' || *t->p == '\r')) t->p++;
}

static bool next_is(struct text *t, uint8_t c)
{
    blank(t);
    if (t->p == t->end || *t->p != c) return false;
    t->p++;
    return true;
}

static void wrong(struct text *t, const char *why)
{
    if (!t->why) t->why = why;
}

static slice string_in(struct text *t)
{
    if (!next_is(t, '"')) {
        wrong(t, "a string is missing");
        return (slice){0};
    }
    const uint8_t *from = t->p;
    for (; t->p < t->end; t->p++) {
        if (*t->p == '\\') t->p++;
        else if (*t->p == '"') return slice_of(from, (size_t)(t->p++ - from));
    }
    t->p = t->end;
    wrong(t, "a string does not end");
    return (slice){0};
}

/* Digits, sign, letters: numbers and the three words. */
static slice word_in(struct text *t)
{
    blank(t);
    const uint8_t *from = t->p;
    while (t->p < t->end && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *t->p) && *t->p) t->p++;
    if (t->p == from) wrong(t, "a value is missing");
    return slice_of(from, (size_t)(t->p - from));
}

static void skip_value(struct text *t, unsigned depth)
{
    blank(t);
    if (t->why || t->p == t->end || depth == NESTING_MAX) {
        wrong(t, depth == NESTING_MAX ? "nested too deep" : "a value is missing");
        return;
    }
    bool object = *t->p == '{';
    if (*t->p == '"') {
        (void)string_in(t);
    } else if (object || *t->p == '[') {
        uint8_t close = object ? '}' : ']';
        t->p++;
        if (next_is(t, close)) return;
        do {
            if (object) (void)string_in(t);
            if (object && !next_is(t, ':')) wrong(t, "a colon is missing");
            skip_value(t, depth + 1);
        } while (!t->why && next_is(t, ','));
        if (!t->why && !next_is(t, close)) wrong(t, "an object or array does not end");
    } else {
        (void)word_in(t);
    }
}

static void number_in(struct text *t, uint64_t *out)
{
    if (!num_parse_u64(word_in(t), out)) wrong(t, "a number is not an unsigned integer");
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void hash_in(struct text *t, uint8_t out[DIGEST_BYTES])
{
    slice s = string_in(t);
    if (s.n != 2 * DIGEST_BYTES) {
        wrong(t, "a hash does not have 64 hex digits");
        return;
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int hi = digit(s.p[2 * i]), lo = digit(s.p[2 * i + 1]);
        if (hi < 0 || lo < 0) {
            wrong(t, "a hash is not hex");
            return;
        }
        out[i] = (uint8_t)(hi << 4 | lo);
    }
}

static void path_in(struct text *t, struct proof *p)
{
    if (!next_is(t, '[')) wrong(t, "path is not an array");
    if (t->why || next_is(t, ']')) return;
    do {
        if (p->n_path == PROOF_PATH_MAX) {
            wrong(t, "the path is too long");
            return;
        }
        hash_in(t, p->path[p->n_path++]);
    } while (!t->why && next_is(t, ','));
    if (!t->why && !next_is(t, ']')) wrong(t, "the path does not end");
}

static void node_in(struct text *t, struct proof *p)
{
    blank(t);
    if (t->p < t->end && *t->p == '"') {
        p->node = string_in(t);
        p->has_node = true;
    } else if (!slice_is(word_in(t), "null")) {
        wrong(t, "node is neither a string nor null");
    }
}

enum member { M_INDEX, M_SIZE, M_LEAF, M_ROOT, M_FROM, M_TO, M_FROM_ROOT, M_TO_ROOT, M_PATH, M_NODE, MEMBERS };

static void member_in(struct text *t, slice name, struct proof *p, unsigned *seen)
{
    static const char *const names[MEMBERS] = {"index", "size", "leaf", "root", "from", "to", "from_root", "to_root", "path", "node"};
    unsigned m = 0;
    while (m < MEMBERS && !slice_eq(name, slice_str(names[m]))) m++;
    if (m < MEMBERS && *seen & 1u << m) wrong(t, "a member occurs twice");
    *seen |= m < MEMBERS ? 1u << m : 0;
    switch (m) {
    case M_INDEX: number_in(t, &p->index); break;
    case M_SIZE: number_in(t, &p->size); break;
    case M_FROM: number_in(t, &p->from); break;
    case M_TO: number_in(t, &p->to); break;
    case M_LEAF: hash_in(t, p->leaf); break;
    case M_ROOT: hash_in(t, p->root); break;
    case M_FROM_ROOT: hash_in(t, p->from_root); break;
    case M_TO_ROOT: hash_in(t, p->to_root); break;
    case M_PATH: path_in(t, p); break;
    case M_NODE: node_in(t, p); break;
    default: skip_value(t, 0);
    }
}

const char *proof_read(slice json, struct proof *out)
{
    const unsigned inclusion = 1u << M_INDEX | 1u << M_SIZE | 1u << M_LEAF | 1u << M_ROOT | 1u << M_PATH;
    const unsigned consistency = 1u << M_FROM | 1u << M_TO | 1u << M_FROM_ROOT | 1u << M_TO_ROOT | 1u << M_PATH;
    struct text t = {json.p, json.p + json.n, NULL};
    struct proof p = {0};
    unsigned seen = 0;
    bool object = next_is(&t, '{');
    if (!object && !next_is(&t, '[')) return "it is no JSON object";
    if (!next_is(&t, object ? '}' : ']')) {
        do {
            slice name = string_in(&t);
            if (!t.why && !next_is(&t, object ? ':' : ',')) wrong(&t, "a member has no value");
            if (!t.why) member_in(&t, name, &p, &seen);
        } while (!t.why && next_is(&t, ','));
        if (!t.why && !next_is(&t, object ? '}' : ']')) wrong(&t, "the object does not end");
    }
    blank(&t);
    if (!t.why && t.p != t.end) wrong(&t, "something follows the proof");
    if (t.why) return t.why;
    if ((seen & inclusion) == inclusion) p.kind = PROOF_INCLUSION;
    else if ((seen & consistency) == consistency) p.kind = PROOF_CONSISTENCY;
    else return "it has neither index, size, leaf, root, path nor from, to, from_root, to_root, path";
    if ((seen & inclusion) == inclusion && (seen & consistency) == consistency) return "it is two proofs in one";
    *out = p;
    return NULL;
}

/* ---- the node inside ---- */

static unsigned hex4(const uint8_t *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        int d = digit(p[i]);
        if (d < 0) return 0;
        v = v << 4 | (unsigned)d;
    }
    return v;
}

static void add_code(struct buf *out, unsigned code, bool bytes)
{
    if (code < 0x80 || (bytes && code < 0x100)) {
        buf_add_byte(out, (uint8_t)code);
    } else if (code < 0x800) {
        buf_add_byte(out, (uint8_t)(0xc0 | code >> 6));
        buf_add_byte(out, (uint8_t)(0x80 | (code & 63)));
    } else {
        buf_add_byte(out, (uint8_t)(0xe0 | code >> 12));
        buf_add_byte(out, (uint8_t)(0x80 | (code >> 6 & 63)));
        buf_add_byte(out, (uint8_t)(0x80 | (code & 63)));
    }
}

/* JSON's escapes undone; `bytes`: a character up to U+00FF stands for one byte, escaped or not. */
static void unescape(slice s, bool bytes, struct buf *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    buf_clear(out);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '\\' && i + 1 < s.n) {
            c = s.p[++i];
            const char *at = c ? strchr(from, c) : NULL;
            if (c == 'u' && i + 4 < s.n) {
                add_code(out, hex4(s.p + i + 1), bytes);
                i += 4;
            } else {
                buf_add_byte(out, at ? (uint8_t)to[at - from] : c);
            }
        } else if (bytes && (c == 0xc2 || c == 0xc3) && i + 1 < s.n && (s.p[i + 1] & 0xc0) == 0x80) {
            buf_add_byte(out, (uint8_t)(c << 6 | (s.p[++i] & 63)));
        } else {
            buf_add_byte(out, c);
        }
    }
}

/* \xhh and the short escapes of redis-cli's quoted strings undone. */
static void unquote(slice s, struct buf *out)
{
    static const char from[] = "nrtab", to[] = "\n\r\t\a\b";
    buf_clear(out);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '\\' && i + 3 < s.n && s.p[i + 1] == 'x' && digit(s.p[i + 2]) >= 0 && digit(s.p[i + 3]) >= 0) {
            buf_add_byte(out, (uint8_t)(digit(s.p[i + 2]) << 4 | digit(s.p[i + 3])));
            i += 3;
        } else if (c == '\\' && i + 1 < s.n) {
            const char *at = s.p[i + 1] ? strchr(from, s.p[i + 1]) : NULL;
            buf_add_byte(out, at ? (uint8_t)to[at - from] : s.p[i + 1]);
            i++;
        } else {
            buf_add_byte(out, c);
        }
    }
}

bool proof_node(const struct proof *p, struct buf *node)
{
    struct buf text = {0};
    bool ok = false;
    for (int form = 0; form < 3 && !ok; form++) {
        unescape(p->node, form == 1, form == 2 ? &text : node);
        if (form == 2) unquote(buf_slice(&text), node);
        ok = proof_leaf_is(p, buf_slice(node));
    }
    buf_fini(&text);
    return ok;
}
