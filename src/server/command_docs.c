/* Recursive descent over the syntax line; see the header for the notation. */
#include "server/command_docs.h"

struct reader {
    const char *p;
    struct syntax *out;
    int depth;
    bool failed;
};

static int alternatives(struct reader *r);

static int new_arg(struct reader *r, enum syntax_type type)
{
    if (r->out->n == SYNTAX_ARGS_MAX) {
        r->failed = true;
        return 0;
    }
    r->out->args[r->out->n] = (struct syntax_arg){.type = type, .child = SYNTAX_NONE, .next = SYNTAX_NONE};
    return r->out->n++;
}

static struct syntax_arg *at(struct reader *r, int i) { return &r->out->args[i]; }

static void skip_blanks(struct reader *r)
{
    while (*r->p == ' ') r->p++;
}

/* "..." or the one-character ellipsis. */
static bool take_dots(struct reader *r)
{
    skip_blanks(r);
    size_t n = strncmp(r->p, "...", 3) == 0 ? 3 : strncmp(r->p, "\xe2\x80\xa6", 3) == 0 ? 3 : 0;
    r->p += n;
    return n > 0;
}

static size_t word_length(const char *p)
{
    size_t n = 0;
    while (p[n] && !strchr(" []()|", p[n]) && strncmp(p + n, "...", 3) != 0 && strncmp(p + n, "\xe2\x80\xa6", 3) != 0) n++;
    return n;
}

static bool is_token(slice w)
{
    bool letter = false;
    for (size_t i = 0; i < w.n; i++) {
        if (w.p[i] >= 'a' && w.p[i] <= 'z') return false;
        letter = letter || (w.p[i] >= 'A' && w.p[i] <= 'Z');
    }
    return letter || (w.n == 1 && strchr("=~+-#*", w.p[0]));
}

static bool among(slice w, const char *const *list)
{
    for (; *list; list++)
        if (slice_is(w, *list)) return true;
    return false;
}

static enum syntax_type type_of(slice w)
{
    static const char *const keys[] = {"key", "newkey", "source", "destination", "numkeys-key", NULL};
    static const char *const integers[] = {"n", "count", "seconds", "milliseconds", "ms", "cursor", "offset", "index", "timeout", "numkeys", "start", "stop",
                                           "end", "decrement", "db", "depth", "limit", "increment", "max", "size", "client-id", "protover", "numreplicas",
                                           "numlocal", "index1", "index2", "destination-db", "m", "seq", "bit", "length", NULL};
    static const char *const doubles[] = {"score", "longitude", "latitude", "float", "radius", NULL};
    static const char *const patterns[] = {"pattern", "glob", NULL};
    if (among(w, keys)) return SYNTAX_KEY;
    if (among(w, integers)) return SYNTAX_INTEGER;
    if (among(w, doubles)) return SYNTAX_DOUBLE;
    if (among(w, patterns)) return SYNTAX_PATTERN;
    return w.n > 9 && memcmp(w.p, "unix-time", 9) == 0 ? SYNTAX_UNIX_TIME : SYNTAX_STRING;
}

static int word(struct reader *r)
{
    size_t n = word_length(r->p);
    if (n == 0) {
        r->failed = true;
        return new_arg(r, SYNTAX_STRING);
    }
    slice w = slice_of(r->p, n);
    r->p += n;
    int i = new_arg(r, is_token(w) ? SYNTAX_TOKEN : type_of(w));
    at(r, i)->name = w;
    if (at(r, i)->type == SYNTAX_TOKEN) at(r, i)->token = w;
    if (take_dots(r)) at(r, i)->multiple = true;
    return i;
}

static int group(struct reader *r)
{
    char close = *r->p++ == '[' ? ']' : ')';
    if (++r->depth > SYNTAX_DEPTH_MAX) {
        r->failed = true;
        return 0;
    }
    int i = alternatives(r);
    r->depth--;
    skip_blanks(r);
    if (*r->p != close) {
        r->failed = true;
        return i;
    }
    r->p++;
    if (close == ']') at(r, i)->optional = true;
    if (take_dots(r)) at(r, i)->multiple = true;
    return i;
}

/* A run of items up to | or a closing bracket. Links them and returns the first. */
static int sequence(struct reader *r, bool top)
{
    int first = SYNTAX_NONE, last = SYNTAX_NONE;
    for (skip_blanks(r); *r->p && *r->p != ']' && *r->p != ')' && *r->p != '|' && !r->failed; skip_blanks(r)) {
        int i = *r->p == '[' || *r->p == '(' ? group(r) : word(r);
        /* Words joined by a bar outside of brackets are alternatives of their own: ON|OFF. */
        while (top && *r->p == '|' && !r->failed) {
            r->p++;
            int other = word(r), list = i;
            if (at(r, i)->type != SYNTAX_ONEOF) {
                list = new_arg(r, SYNTAX_ONEOF);
                at(r, list)->child = i;
                at(r, list)->name = at(r, i)->name;
            }
            int tail = at(r, list)->child;
            while (at(r, tail)->next != SYNTAX_NONE) tail = at(r, tail)->next;
            at(r, tail)->next = other;
            i = list;
        }
        struct syntax_arg *before = last == SYNTAX_NONE ? NULL : at(r, last);
        /* `key [key ...]` */
        if (before && at(r, i)->optional && at(r, i)->multiple && before->type == at(r, i)->type && slice_eq(before->name, at(r, i)->name)) {
            before->multiple = true;
            continue;
        }
        /* A token and the word behind it. */
        if (before && before->type == SYNTAX_TOKEN && !before->multiple && at(r, i)->type != SYNTAX_TOKEN && !at(r, i)->optional && at(r, i)->token.n == 0) {
            slice token = before->token;
            int next = before->next;
            *before = *at(r, i);
            before->token = token;
            before->next = next;
            continue;
        }
        if (before)
            before->next = i;
        else
            first = i;
        last = i;
    }
    return first;
}

/* One sequence as one argument. */
static int as_one(struct reader *r, int first)
{
    if (first == SYNTAX_NONE) {
        r->failed = true;
        return new_arg(r, SYNTAX_STRING);
    }
    if (at(r, first)->next == SYNTAX_NONE) return first;
    int block = new_arg(r, SYNTAX_BLOCK);
    struct syntax_arg *head = at(r, first);
    at(r, block)->name = head->name;
    at(r, block)->child = first;
    if (head->token.n && head->type != SYNTAX_TOKEN) {
        at(r, block)->token = head->token;
        head->token = slice_of(NULL, 0);
    }
    return block;
}

static int alternatives(struct reader *r)
{
    int first = as_one(r, sequence(r, false)), last = first;
    if (*r->p != '|') return first;
    int list = new_arg(r, SYNTAX_ONEOF);
    at(r, list)->child = first;
    at(r, list)->name = at(r, first)->name;
    while (*r->p == '|' && !r->failed) {
        r->p++;
        int other = as_one(r, sequence(r, false));
        at(r, last)->next = other;
        last = other;
    }
    /* `[TYPE a|b]`: the token belongs to the choice. */
    struct syntax_arg *head = at(r, first);
    if (head->token.n && head->type != SYNTAX_TOKEN && head->type != SYNTAX_BLOCK) {
        bool plain = true;
        for (int i = head->next; i != SYNTAX_NONE; i = at(r, i)->next) plain = plain && at(r, i)->token.n == 0;
        if (plain) {
            at(r, list)->token = head->token;
            head->token = slice_of(NULL, 0);
        }
    }
    return list;
}

int syntax_parse(const char *line, struct syntax *out)
{
    struct reader r = {.p = line ? line : "", .out = out};
    out->n = 0;
    out->first = sequence(&r, true);
    return r.failed || *r.p ? E_SYNTAX : E_OK;
}

const char *syntax_type_name(enum syntax_type t)
{
    static const char *const names[] = {"string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block"};
    return names[t];
}

int syntax_length(const struct syntax *s, int first)
{
    int n = 0;
    for (int i = first; i != SYNTAX_NONE; i = s->args[i].next) n++;
    return n;
}
