/* A client and a call without sockets: what a reply or a check needs to run. */
#ifndef TESTS_UNIT_SERVER_FIXTURE_H
#define TESTS_UNIT_SERVER_FIXTURE_H

#include "server/client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct client client;
    struct call call;
    slice argv[16];
};

static inline struct call *fixture_call(struct fixture *f, int resp)
{
    memset(f, 0, sizeof *f);
    f->client.resp = (uint8_t)resp;
    f->call = (struct call){.argv = f->argv, .resp = resp, .client = &f->client};
    return &f->call;
}

static inline void fixture_arg(struct fixture *f, const char *text)
{
    assert_true(f->call.argc < 16);
    f->argv[f->call.argc++] = slice_str(text);
}

/* What was replied so far, and forgets it. */
static inline void assert_replied(struct fixture *f, const char *want)
{
    struct buf *out = &f->client.out;
    buf_add_byte(out, 0);
    assert_string_equal((const char *)out->p, want);
    buf_clear(out);
}

static inline void fixture_fini(struct fixture *f) { buf_fini(&f->client.out); }

#endif
