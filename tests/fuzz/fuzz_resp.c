/* The request parser: an input that arrives whole and the same input that arrives in pieces, in a buffer that moves, must give the same requests.
 * The first byte chooses the size of the pieces and the limits. An entry in libFuzzer's form. */
#include "base/buf.h"
#include "server/resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())

struct outcome {
    struct buf text; /* every argument of every request, with its length */
    size_t requests;
    bool failed;
};

static void take(struct outcome *o, const struct resp_parser *p, size_t argc, const uint8_t *lo, const uint8_t *hi)
{
    for (size_t i = 0; i < argc; i++) {
        slice a = p->args[p->first + i];
        bool inside = a.n == 0 || (a.p >= lo && a.p + a.n <= hi) || (a.p >= p->words.p && a.p + a.n <= p->words.p + p->words.n);
        MUST(inside);
        buf_printf(&o->text, "%zu:", a.n);
        buf_add_slice(&o->text, a);
    }
    buf_add_byte(&o->text, '\n');
    o->requests++;
}

/* Feeds the bytes in pieces of `step`, each time in a fresh allocation. */
static void run(slice in, size_t step, const struct resp_limits *limits, struct outcome *o)
{
    struct resp_parser p = {0};
    uint8_t *mem = malloc(1);
    size_t kept = 0, begin = 0, at_off = 0;
    for (size_t fed = 0; fed < in.n && !o->failed;) {
        size_t n = in.n - fed < step ? in.n - fed : step;
        uint8_t *grown = malloc(kept + n);
        MUST(grown != NULL);
        if (kept) memcpy(grown, mem + begin, kept);
        memcpy(grown + kept, in.p + fed, n);
        resp_moved(&p, mem + begin, grown);
        free(mem);
        mem = grown;
        fed += n;
        kept += n;
        const uint8_t *at = mem + at_off, *end = mem + kept;
        size_t start = 0, argc;
        for (;;) {
            enum resp_result r = resp_next(&p, &at, end, limits, &argc);
            MUST(at >= mem && at <= end);
            if (r == RESP_ERROR) MUST(p.error[0] != 0), o->failed = true;
            if (r == RESP_REQUEST) take(o, &p, argc, mem, end);
            if (r == RESP_REQUEST || r == RESP_NOTHING) {
                resp_take(&p);
                resp_forget(&p);
                start = (size_t)(at - mem);
                continue;
            }
            break;
        }
        begin = start;
        at_off = (size_t)(at - mem) - start;
        kept -= start;
    }
    free(mem);
    resp_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct resp_limits limits = {.bulk_max = data[0] & 64 ? 1000 : 512u << 20, .anonymous = (data[0] & 128) != 0};
    struct outcome whole = {0}, pieces = {0};
    slice in = {data + 1, size - 1};
    run(in, in.n ? in.n : 1, &limits, &whole);
    run(in, 1 + (data[0] & 31), &limits, &pieces);
    MUST(whole.failed == pieces.failed && whole.requests == pieces.requests);
    MUST(slice_eq(buf_slice(&whole.text), buf_slice(&pieces.text)));
    buf_fini(&whole.text);
    buf_fini(&pieces.text);
    return 0;
}
