#include "base/err.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/os.h"
#include "unit/base/dies.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_code_has_its_sentence(void **state)
{
    for (int a = E_AGAIN; a <= E_OK; a++) {
        assert_non_null(err_text(a));
        assert_null(strstr(err_text(a), "unknown error"));
        for (int b = E_AGAIN; b < a; b++) assert_string_not_equal(err_text(a), err_text(b));
    }
    assert_non_null(strstr(err_text(-1000), "unknown"));
    assert_non_null(strstr(err_text(7), "unknown"));
}

static void noting_writes_one_line_with_errno(void **state)
{
    char path[] = "/tmp/varve-err-XXXXXX";
    struct buf text = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_open(path), E_OK);
    errno = ENOENT;
    assert_int_equal(err_note(E_IO, "segment %d", 7), E_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(err_note(E_CORRUPT, "block"), E_CORRUPT);
    assert_int_equal(err_note(E_NOTFOUND, "never shown"), E_NOTFOUND);
    assert_int_equal(err_note(E_END, "never shown"), E_END);
    assert_int_equal(log_open(""), E_OK);
    assert_int_equal(os_read_file(os_posix(), path, 10000, &text), E_OK);
    buf_add_byte(&text, 0);
    assert_non_null(strstr((char *)text.p, "segment 7"));
    assert_non_null(strstr((char *)text.p, "No such file"));
    assert_non_null(strstr((char *)text.p, " # block"));
    assert_null(strstr((char *)text.p, "never"));
    int lines = 0;
    for (size_t i = 0; i < text.n; i++) lines += text.p[i] == '\n';
    assert_int_equal(lines, 2);
    buf_fini(&text);
    unlink(path);
}

static void fails(void) { ASSERT(1 + 1 == 3); }
static void holds(void) { ASSERT(1 + 1 == 2); }

static void assertions_abort(void **state)
{
    assert_true(dies(fails));
    assert_false(dies(holds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_sentence),
        cmocka_unit_test(noting_writes_one_line_with_errno),
        cmocka_unit_test(assertions_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
