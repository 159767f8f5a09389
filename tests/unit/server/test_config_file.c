/* Files, flags, and writing a file again. */
#include "base/mem.h"
#include "base/os.h"
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void lines_are_read(void **state)
{
    struct config c;
    struct buf error = {0}, text = {0};
    config_init(&c);
    assert_true(config_read(&c, slice_str("# a comment\n\n  port 7777\r\nbind 127.0.0.1 ::1\nsave 900 1\nsave 300 10\nrequirepass \"a b\\x41\"\nloadmodule /x/y.so\n"), "test", &error));
    assert_int_equal(config_num(&c, CFG_PORT), 7777);
    config_text(&c, CFG_SAVE, &text);
    assert_string_equal((const char *)text.p, "900 1 300 10");
    config_text(&c, CFG_BIND, &text);
    assert_string_equal((const char *)text.p, "127.0.0.1 ::1");
    assert_true(config_text_is(&c, CFG_REQUIREPASS, slice_str("a bA")));
    assert_string_equal((const char *)c.modules.p, "/x/y.so");
    buf_fini(&error);
    buf_fini(&text);
    config_fini(&c);
}

static void errors_name_the_line(void **state)
{
    struct config c;
    struct buf error = {0};
    config_init(&c);
    assert_false(config_read(&c, slice_str("port 1\nnonsense 5\n"), "file.conf", &error));
    buf_add_byte(&error, 0);
    assert_string_equal((const char *)error.p, "file.conf, line 2: 'nonsense 5': Bad directive or wrong number of arguments");
    buf_clear(&error);
    assert_false(config_read(&c, slice_str("port x"), "f", &error));
    buf_clear(&error);
    assert_false(config_read(&c, slice_str("requirepass \"x"), "f", &error));
    buf_clear(&error);
    assert_false(config_read_file(&c, "/nonexistent/file", &error));
    buf_clear(&error);
    assert_false(config_read(&c, slice_str("timeout 5 6"), "f", &error));
    buf_add_byte(&error, 0);
    assert_string_equal((const char *)error.p, "f, line 1: 'timeout 5 6': wrong number of arguments");
    buf_fini(&error);
    config_fini(&c);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool reads(struct config *c, const char *text, struct buf *error)
{
    buf_clear(error);
    bool ok = config_read(c, slice_str(text), "test", error);
    buf_add_byte(error, 0);
    return ok;
}

static void files_include_files(void **state)
{
    char dir[] = "/tmp/varve-include-XXXXXX", line[256];
    struct config c;
    struct buf error = {0};
    assert_non_null(mkdtemp(dir));
    config_init(&c);
    put(dir, "a.conf", "timeout 1\n");
    put(dir, "b.conf", "timeout 2\nhz 20\n");
    put(dir, "bad.cnf", "\n\nnonsense x\n");
    snprintf(line, sizeof line, "include %s/loop.cnf\n", dir);
    put(dir, "loop.cnf", line);
    snprintf(line, sizeof line, "hz 30\ninclude %s/a.conf\nlist-max-ziplist-entries 5\nlua-enable-deprecated-api yes\n", dir);
    assert_true(reads(&c, line, &error));
    assert_int_equal(config_num(&c, CFG_TIMEOUT), 1);
    snprintf(line, sizeof line, "include %s/?.conf\ninclude %s/none*.conf\n", dir, dir); /* in the order of names; a pattern may fit none */
    assert_true(reads(&c, line, &error));
    assert_int_equal(config_num(&c, CFG_TIMEOUT), 2);
    assert_int_equal(config_num(&c, CFG_HZ), 20);
    snprintf(line, sizeof line, "include %s/none.conf\n", dir);
    assert_false(reads(&c, line, &error));
    snprintf(line, sizeof line, "include %s/bad.cnf\n", dir);
    assert_false(reads(&c, line, &error));
    assert_non_null(strstr((const char *)error.p, "bad.cnf, line 3: 'nonsense x': Bad directive"));
    snprintf(line, sizeof line, "include %s/loop.cnf\n", dir);
    assert_false(reads(&c, line, &error));
    assert_non_null(strstr((const char *)error.p, "more than 16 files include one another"));
    config_fini(&c);
    buf_fini(&error);
    static const char *const names[] = {"a.conf", "b.conf", "bad.cnf", "loop.cnf"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(line, sizeof line, "%s/%s", dir, names[i]);
        unlink(line);
    }
    rmdir(dir);
}

static void flags_become_lines(void **state)
{
    const char *argv[] = {"--port", "0", "--save", "", "--requirepass", "a b", "--daemonize", "yes"};
    const char *plain[] = {"port", "0"};
    struct buf text = {0};
    config_flags_to_text(8, argv, &text);
    buf_add_byte(&text, 0);
    assert_string_equal((const char *)text.p, "port \"0\"\nsave \"\"\nrequirepass \"a b\"\ndaemonize \"yes\"\n");
    buf_clear(&text);
    config_flags_to_text(2, plain, &text);
    buf_add_byte(&text, 0);
    assert_string_equal((const char *)text.p, " \"port\" \"0\"\n");
    /* The first word behind a name is its value; --save alone is never; a name and its value may be one word. */
    const char *odd[] = {"--requirepass", "--x", "--save", "--timeout 5", "--save", "900", "1", "--bind", "a", "b", "--save"};
    buf_clear(&text);
    config_flags_to_text(11, odd, &text);
    buf_add_byte(&text, 0);
    assert_string_equal((const char *)text.p, "requirepass \"--x\"\nsave \"\"\ntimeout 5\nsave \"900\" \"1\"\nbind \"a\" \"b\"\nsave \"\"\n");
    buf_fini(&text);
}

static void rewriting_keeps_what_people_wrote(void **state)
{
    char path[] = "/tmp/varve-config-XXXXXX";
    struct config c;
    struct buf error = {0}, text = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char old[] = "# mine\nport 7000\n\ntimeout 5\ntimeout 6\n";
    assert_int_equal(write(fd, old, sizeof old - 1), sizeof old - 1);
    assert_int_equal(fchmod(fd, 0640), 0);
    close(fd);
    config_init(&c);
    atomic_store(&c.number[CFG_THREADS], 3); /* chosen by the server, asked for by nobody */
    assert_non_null(config_rewrite(&c, false));
    assert_true(config_read_file(&c, path, &error));
    c.file = mem_strdup(path);
    slice pairs[] = {slice_str("timeout"), slice_str("9"), slice_str("masterauth"), slice_str("x y"), slice_str("save"), slice_str("")};
    char why[CONFIG_ERROR_MAX];
    assert_true(config_set(&c, pairs, 3, true, why));
    assert_null(config_rewrite(&c, false));
    assert_int_equal(os_read_file(os_posix(), path, 1 << 20, &text), E_OK);
    buf_add_byte(&text, 0);
    assert_string_equal((const char *)text.p, "# mine\nport 7000\n\ntimeout 9\n# Generated by CONFIG REWRITE\nsave \"\"\nmasterauth \"x y\"\n");
    assert_null(config_rewrite(&c, false));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    struct config again;
    config_init(&again);
    buf_clear(&error);
    assert_true(config_read_file(&again, path, &error));
    assert_true(config_text_is(&again, CFG_MASTERAUTH, slice_str("x y")));
    assert_true(config_text_is(&again, CFG_SAVE, slice_str("")));
    /* Every parameter, written and read, is what it was; a password may hold any byte. */
    slice odd[] = {slice_str("requirepass"), slice_of("a\0b\n\"", 5)};
    assert_true(config_set(&c, odd, 1, true, why));
    assert_null(config_rewrite(&c, true));
    config_fini(&again);
    config_init(&again);
    assert_true(config_read_file(&again, path, &error));
    for (int i = 0; i < CFG_COUNT; i++) {
        struct buf one = {0}, two = {0};
        config_show(&c, (enum config_id)i, &one);
        config_show(&again, (enum config_id)i, &two);
        if (!slice_eq(buf_slice(&one), buf_slice(&two))) fail_msg("%s", config_name((enum config_id)i));
        buf_fini(&one);
        buf_fini(&two);
    }
    config_fini(&again);
    config_fini(&c);
    buf_fini(&text);
    buf_fini(&error);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_read), cmocka_unit_test(errors_name_the_line), cmocka_unit_test(files_include_files),
                                       cmocka_unit_test(flags_become_lines),
                                       cmocka_unit_test(rewriting_keeps_what_people_wrote)};
    return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}
