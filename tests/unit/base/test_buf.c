#include "base/buf.h"
#include "unit/base/dies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void grows_and_keeps(void **state)
{
    struct buf b = {0};
    for (int i = 0; i < 100000; i++) buf_add(&b, &(uint8_t){(uint8_t)(i * 7)}, 1);
    assert_int_equal(b.n, 100000);
    for (int i = 0; i < 100000; i++) assert_int_equal(b.p[i], (uint8_t)(i * 7));
    assert_true(b.cap >= b.n && b.cap <= 2 * b.n);
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_true(b.cap > 0);
    buf_fini(&b);
    assert_null(b.p);
    buf_fini(&b);
}

static void reserve_gives_room_for_nothing_and_much(void **state)
{
    struct buf b = {0};
    buf_add(&b, NULL, 0);
    assert_null(b.p);
    buf_reserve(&b, 1 << 20);
    assert_true(b.cap >= 1 << 20);
    assert_int_equal(b.n, 0);
    buf_fini(&b);
}

static void prints(void **state)
{
    struct buf b = {0};
    buf_printf(&b, "%s", "");
    assert_int_equal(b.n, 0);
    buf_printf(&b, "%d-%s", 12, "ab");
    buf_add_byte(&b, '.');
    buf_add_str(&b, "end");
    assert_true(slice_eq(buf_slice(&b), slice_str("12-ab.end")));
    for (int i = 0; i < 300; i++) {
        struct buf c = {0};
        for (int j = 0; j < i; j++) buf_add_byte(&c, 'x');
        buf_printf(&c, "%*d", i, 5);
        assert_int_equal(c.n, i == 0 ? 1 : 2 * i);
        assert_int_equal(c.p[c.n - 1], '5');
        buf_fini(&c);
    }
    buf_fini(&b);
}

static void grow_absurdly(void)
{
    struct buf b = {0};
    buf_grow(&b, SIZE_MAX - 1);
}

static void absurd_sizes_abort(void **state) { assert_true(dies(grow_absurdly)); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(reserve_gives_room_for_nothing_and_much),
        cmocka_unit_test(prints),
        cmocka_unit_test(absurd_sizes_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
