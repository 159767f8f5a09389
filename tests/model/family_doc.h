/* Documents in a small canonical form, so that the oracle knows the bytes that a patch must leave: an object of up to eight members with names of one letter, whose
 * values are integers or strings without escapes and commas. */
#ifndef VARVE_TESTS_MODEL_FAMILY_DOC_H
#define VARVE_TESTS_MODEL_FAMILY_DOC_H

#include "tests/model/family.h"

#define MEMBERS 8

struct member {
    char name, value[20];
};
struct doc {
    int n;
    struct member m[MEMBERS];
};

static inline void doc_parse(const char *text, struct doc *d)
{
    d->n = 0;
    for (const char *p = text + 1; *p == '"' && d->n < MEMBERS;) {
        struct member *m = &d->m[d->n++];
        m->name = p[1];
        size_t n = strcspn(p + 4, ",}");
        snprintf(m->value, sizeof m->value, "%.*s", (int)n, p + 4);
        p += 4 + n;
        if (*p == ',') p++;
    }
}

static inline void doc_print(const struct doc *d, char out[TEXT])
{
    size_t n = (size_t)snprintf(out, TEXT, "{");
    for (int i = 0; i < d->n; i++) n += (size_t)snprintf(out + n, TEXT - n, "%s\"%c\":%s", i ? "," : "", d->m[i].name, d->m[i].value);
    snprintf(out + n, TEXT - n, "}");
}

static inline struct member *doc_find(struct doc *d, char name)
{
    for (int i = 0; i < d->n; i++)
        if (d->m[i].name == name) return &d->m[i];
    return NULL;
}

static inline void doc_remove(struct doc *d, char name)
{
    struct member *m = doc_find(d, name);
    if (!m) return;
    memmove(m, m + 1, (size_t)(&d->m[d->n] - (m + 1)) * sizeof *m);
    d->n--;
}

static inline void doc_set(struct doc *d, char name, const char *value)
{
    struct member *m = doc_find(d, name);
    if (!m) m = &d->m[d->n++], m->name = name;
    snprintf(m->value, sizeof m->value, "%s", value);
}

static inline char random_name(void) { return "abcst"[rnd(5)]; }

static inline void random_value(char name, char out[20])
{
    static const char *const words[] = {"red", "redfox", "blue", "re", "bl"};
    if (name == 's' || name == 't')
        snprintf(out, 20, "\"%s\"", words[rnd(5)]);
    else
        snprintf(out, 20, "%d", (int)rnd(7) - 1);
}

static inline void random_doc(struct doc *d)
{
    d->n = 0;
    for (int i = (int)rnd(6); i > 0; i--) {
        char name = random_name(), value[20];
        random_value(name, value);
        doc_set(d, name, value);
    }
}

/* A merge patch and what it does to the document. */
static inline void random_merge(struct doc *d, char out[TEXT])
{
    struct doc patch;
    random_doc(&patch);
    for (int i = 0; i < patch.n; i++) {
        if (rnd(3) == 0) snprintf(patch.m[i].value, sizeof patch.m[i].value, "null"), doc_remove(d, patch.m[i].name);
        else doc_set(d, patch.m[i].name, patch.m[i].value);
    }
    doc_print(&patch, out);
}

/* One operation; false: it must fail. */
static inline bool random_op(struct doc *d, char *out, size_t max)
{
    char name = random_name(), from = random_name(), value[20];
    struct member *m = doc_find(d, name), *f = doc_find(d, from), copy;
    random_value(name, value);
    switch (rnd(6)) {
    case 0:
        snprintf(out, max, "{\"op\":\"add\",\"path\":\"/%c\",\"value\":%s}", name, value);
        doc_set(d, name, value);
        return true;
    case 1:
        snprintf(out, max, "{\"op\":\"replace\",\"path\":\"/%c\",\"value\":%s}", name, value);
        if (m) doc_set(d, name, value);
        return m;
    case 2:
        snprintf(out, max, "{\"op\":\"remove\",\"path\":\"/%c\"}", name);
        doc_remove(d, name);
        return m;
    case 3:
        if (m && rnd(8)) memcpy(value, m->value, sizeof value);
        snprintf(out, max, "{\"op\":\"test\",\"path\":\"/%c\",\"value\":%s}", name, value);
        return m && strcmp(m->value, value) == 0;
    case 4:
        snprintf(out, max, "{\"op\":\"copy\",\"from\":\"/%c\",\"path\":\"/%c\"}", from, name);
        if (f) copy = *f, doc_set(d, name, copy.value);
        return f;
    default:
        snprintf(out, max, "{\"op\":\"move\",\"from\":\"/%c\",\"path\":\"/%c\"}", from, name);
        if (!f) return false;
        copy = *f;
        if (name != from) doc_remove(d, from), doc_set(d, name, copy.value);
        return true;
    }
}

static inline bool random_ops(struct doc *d, char *out, size_t max)
{
    size_t n = (size_t)snprintf(out, max, "[");
    for (int i = (int)rnd(4); i >= 0; i--) {
        char op[120];
        bool good = random_op(d, op, sizeof op);
        n += (size_t)snprintf(out + n, max - n, "%s%s", n > 1 ? "," : "", op);
        if (good) continue;
        snprintf(out + n, max - n, "]");
        return false;
    }
    snprintf(out + n, max - n, "]");
    return true;
}

#endif
