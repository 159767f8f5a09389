/* The last message of a process that dies of a bug. */
#include "base/os.h"
#include "server/crash_log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void dies_with_a_report(int signum, const char *word)
{
    char path[] = "/tmp/varve-crash-XXXXXX";
    struct buf text = {0};
    int fd = mkstemp(path), status;
    assert_true(fd >= 0);
    close(fd);
    pid_t pid = fork();
    if (pid == 0) {
        crash_log_install(path, "a test build");
        raise(signum);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signum);
    assert_int_equal(os_read_file(os_posix(), path, 1 << 20, &text), E_OK);
    buf_add_byte(&text, 0);
    assert_non_null(strstr((const char *)text.p, word));
    assert_non_null(strstr((const char *)text.p, "a test build"));
    assert_non_null(strstr((const char *)text.p, "END OF REPORT"));
    buf_fini(&text);
    unlink(path);
}

static void reports(void **state)
{
    dies_with_a_report(SIGABRT, "SIGABRT");
    dies_with_a_report(SIGFPE, "SIGFPE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reports)};
    return cmocka_run_group_tests_name("crash_log", tests, NULL, NULL);
}
