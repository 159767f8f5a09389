/* Chunk lists against one flat array. */
#include "base/chunks.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST ((size_t)200000)

static void random_operations(void **state)
{
    struct chunks c = {0}, copy = {0};
    uint8_t *flat = mem_zalloc(MOST), *in = mem_alloc(MOST);
    size_t size = 0;
    srand(7);
    for (int i = 0; i < 3000; i++) {
        size_t off = (size_t)rand() % MOST, n = (size_t)rand() % (MOST - off);
        if (rand() % 2) n %= 3000;
        switch (rand() % 4) {
        case 0:
            for (size_t j = 0; j < n; j++) flat[off + j] = (uint8_t)(i + 1);
            chunks_write(&c, off, flat + off, n);
            if (n && off + n > size) size = off + n;
            break;
        case 1:
            if (off < size) memset(flat + off, 0, size - off);
            chunks_resize(&c, off);
            size = off;
            break;
        case 2:
            chunks_copy(&copy, &c);
            chunks_fini(&c);
            c = copy;
            copy = (struct chunks){0};
            break;
        default: {
            size_t want = off >= size ? 0 : n < size - off ? n : size - off;
            assert_int_equal(chunks_read(&c, off, in, n), want);
            assert_memory_equal(in, flat + off, want);
        }
        }
        assert_int_equal(c.size, size);
    }
    chunks_fini(&c);
    mem_free(flat);
    mem_free(in);
}

static void holes_cost_nothing(void **state)
{
    struct chunks c = {0};
    uint8_t b[3] = {9, 9, 9};
    chunks_resize(&c, (uint64_t)1 << 40);
    assert_int_equal(c.cap, 0);
    assert_int_equal(chunks_read(&c, ((uint64_t)1 << 40) - 2, b, 3), 2);
    assert_int_equal(b[0] + b[1], 0);
    chunks_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations), cmocka_unit_test(holes_cost_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
