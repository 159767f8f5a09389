#include "base/logline.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/thread.h"

#include <regex.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char path[] = "/tmp/varve-log-XXXXXX";

static char *read_log(void)
{
    struct buf text = {0};
    assert_int_equal(os_read_file(os_posix(), path, 10000000, &text), E_OK);
    buf_add_byte(&text, 0);
    assert_int_equal(truncate(path, 0), 0);
    return (char *)text.p;
}

static void shape_of_a_line(void **state)
{
    static const char *const mark[] = {"\\.", "-", "\\*", "#"};
    log_set_level(LOG_DEBUG);
    for (int level = LOG_DEBUG; level <= LOG_WARNING; level++) {
        char pattern[200];
        regex_t re;
        log_line((enum log_level)level, "text %d", level);
        char *line = read_log();
        snprintf(pattern, sizeof pattern, "^%d:M [0-3][0-9] [A-Z][a-z]{2} 20[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3} %s text %d\n$",
                 (int)getpid(), mark[level], level);
        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
        if (regexec(&re, line, 0, NULL, 0) != 0) fail_msg("%s", line);
        regfree(&re);
        mem_free(line);
    }
}

static void level_decides(void **state)
{
    log_set_level(LOG_WARNING);
    assert_int_equal(log_get_level(), LOG_WARNING);
    log_line(LOG_NOTICE, "not this");
    log_line(LOG_WARNING, "but this");
    char *text = read_log();
    assert_null(strstr(text, "not this"));
    assert_non_null(strstr(text, "but this"));
    mem_free(text);
    log_set_level(LOG_NOTICE);
}

static void long_and_forged_lines(void **state)
{
    char *big = mem_alloc(20001);
    memset(big, 'x', 20000);
    big[20000] = 0;
    log_line(LOG_NOTICE, "%s", big);
    char *text = read_log();
    assert_in_range(strlen(text), 1000, 4096);
    assert_int_equal(text[strlen(text) - 1], '\n');
    mem_free(text);
    mem_free(big);
    log_line(LOG_NOTICE, "a\nb\rc");
    text = read_log();
    assert_non_null(strstr(text, "a b c\n"));
    mem_free(text);
}

static void a_file_that_was_moved_is_opened_anew(void **state)
{
    char moved[sizeof path + 4];
    snprintf(moved, sizeof moved, "%s.old", path);
    log_line(LOG_NOTICE, "before");
    assert_int_equal(rename(path, moved), 0);
    log_line(LOG_NOTICE, "behind");
    char *text = read_log();
    assert_null(strstr(text, "before"));
    assert_non_null(strstr(text, "behind"));
    mem_free(text);
    assert_int_equal(unlink(path), 0);
    log_line(LOG_NOTICE, "again");
    text = read_log();
    assert_non_null(strstr(text, "again"));
    mem_free(text);
    unlink(moved);
}

static void chatter(void *arg)
{
    for (int i = 0; i < 500; i++) log_line(LOG_NOTICE, "thread %s says %d and goes on", (const char *)arg, i);
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t a, b;
    static char one[] = "one", two[] = "two";
    assert_int_equal(thread_start(&a, "one", chatter, one), E_OK);
    assert_int_equal(thread_start(&b, "two", chatter, two), E_OK);
    for (int i = 0; i < 50; i++) assert_int_equal(log_open(path), E_OK); /* reopened beneath them */
    thread_join(a);
    thread_join(b);
    char *text = read_log();
    int lines = 0;
    for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
        *end = 0;
        assert_string_equal(end - 12, " and goes on");
    }
    assert_int_equal(lines, 1000);
    mem_free(text);
}

static void opening_fails_well(void **state)
{
    assert_int_equal(log_open("/nowhere/at/all"), E_IO);
    log_line(LOG_NOTICE, "still here");
    char *text = read_log();
    assert_non_null(strstr(text, "still here"));
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_of_a_line),      cmocka_unit_test(level_decides),      cmocka_unit_test(long_and_forged_lines),
        cmocka_unit_test(a_file_that_was_moved_is_opened_anew), cmocka_unit_test(lines_of_threads_do_not_mix), cmocka_unit_test(opening_fails_well),
    };
    close(mkstemp(path));
    if (log_open(path) != E_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
