/* What only the real operating system can show: faults in a mapping, a full
 * file, locks between processes. Cases with SIGBUS run in a child, because
 * cmocka puts its own handler in front of each test. */
#include "base/logline.h"
#include "base/os.h"
#include "base/thread.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/varve-posix-XXXXXX";
static char path[100];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

#define CHECK(e) ((e) ? (void)0 : abort()) /* in children, where cmocka's assertions have nowhere to jump to */

static struct os_file *mapped_then_cut(const char *name)
{
    struct os_file *f = NULL, *w = NULL;
    struct os *os = os_posix();
    CHECK(os_open(os, at(name), OS_WRITE, &w) == E_OK);
    CHECK(os_extend(os, w, 65536) == E_OK);
    CHECK(os_open(os, at(name), OS_MAPPED, &f) == E_OK);
    CHECK(os_truncate(os, w, 4096) == E_OK);
    os_close(os, &w);
    return f;
}

static void run_apart(void (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        fn();
        exit(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void lose_a_page(void)
{
    struct os_file *f = mapped_then_cut("cut");
    static uint8_t b[70000];
    size_t got = 0;
    for (int i = 0; i < 3; i++) {
        CHECK(os_read(os_posix(), f, 0, b, 4096, &got) == E_OK);
        CHECK(os_read(os_posix(), f, 8192, b, 100, &got) == E_IO);
        CHECK(os_read(os_posix(), f, 0, b, 65536, &got) == E_IO);
    }
    os_close(os_posix(), &f);
}

static void a_lost_page_is_an_error(void **state) { run_apart(lose_a_page); }

static void read_lost_pages(void *arg)
{
    uint8_t b[100];
    size_t got;
    for (int i = 0; i < 200; i++) {
        CHECK(os_read(os_posix(), arg, 0, b, 100, &got) == E_OK);
        CHECK(os_read(os_posix(), arg, 32768, b, 100, &got) == E_IO);
    }
}

static void fault_in_threads(void)
{
    struct os_file *f = mapped_then_cut("threads");
    pthread_t t[3];
    for (int i = 0; i < 3; i++) CHECK(thread_start(&t[i], "reader", read_lost_pages, f) == E_OK);
    for (int i = 0; i < 3; i++) thread_join(t[i]);
    os_close(os_posix(), &f);
}

static void threads_fault_apart(void **state) { run_apart(fault_in_threads); }

static sigjmp_buf mine;
static void my_handler(int sig) { siglongjmp(mine, 1); }

static void fault_elsewhere(void)
{
    struct sigaction sa = {.sa_handler = my_handler, .sa_flags = SA_NODEFER};
    sigaction(SIGBUS, &sa, NULL);
    struct os_file *f = mapped_then_cut("chain");
    int fd = open(at("chain"), O_RDONLY);
    volatile char *own = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);
    volatile bool caught = false;
    if (sigsetjmp(mine, 1) == 0)
        (void)own[32768];
    else
        caught = true;
    CHECK(caught);
    munmap((void *)(uintptr_t)own, 65536);
    close(fd);
    os_close(os_posix(), &f);
}

static void other_faults_go_to_the_earlier_handler(void **state) { run_apart(fault_elsewhere); }

static void an_empty_file_can_be_mapped(void **state)
{
    struct os_file *f = NULL;
    uint8_t b;
    size_t got = 1;
    assert_int_equal(os_open(os_posix(), at("empty"), OS_WRITE, &f), E_OK);
    os_close(os_posix(), &f);
    assert_int_equal(os_open(os_posix(), at("empty"), OS_MAPPED, &f), E_OK);
    assert_int_equal(os_read(os_posix(), f, 0, &b, 1, &got), E_OK);
    assert_int_equal(got, 0);
    os_close(os_posix(), &f);
}

static void failing_writes_are_reported(void **state)
{
    struct os_file *f = NULL;
    struct rlimit old, small;
    static uint8_t b[10000];
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(os_open(os_posix(), at("limit"), OS_WRITE, &f), E_OK);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &small);
    int written = os_write(os_posix(), f, 0, b, sizeof b), extended = os_extend(os_posix(), f, 100000);
    setrlimit(RLIMIT_FSIZE, &old);
    os_close(os_posix(), &f);
    assert_int_equal(written, E_IO);
    assert_int_equal(extended, E_IO);
    if (access("/dev/full", W_OK) != 0) return;
    assert_int_equal(os_open(os_posix(), "/dev/full", OS_WRITE, &f), E_OK);
    assert_int_equal(os_write(os_posix(), f, 0, b, 1), E_NOSPACE);
    os_close(os_posix(), &f);
}

static void locks_hold_between_processes(void **state)
{
    struct os_file *f = NULL, *g = NULL;
    int status = -1;
    assert_int_equal(os_lock(os_posix(), at("lock"), &f), E_OK);
    pid_t pid = fork();
    if (pid == 0) _exit(os_lock(os_posix(), at("lock"), &g) == E_LOCKED ? 0 : 1);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    os_close(os_posix(), &f);
    pid = fork();
    if (pid == 0) _exit(os_lock(os_posix(), at("lock"), &g) == E_OK ? 0 : 1);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(os_lock(os_posix(), at("lock"), &g), E_OK); /* ended with the process */
    os_close(os_posix(), &g);
}

static void os_free_leaves_the_shared_one(void **state)
{
    struct os *os = os_posix();
    os_free(&os);
    assert_null(os);
    assert_true(os_wall_us(os_posix()) > 0);
}

enum { DRAWS = 200000, DRAW_BYTES = 16 };

static int draw_cmp(const void *a, const void *b) { return memcmp(a, b, DRAW_BYTES); }

static void draw_in_thread(void *out) { os_random(os_posix(), out, DRAW_BYTES); }

/* No draw comes twice: over many refills and keys, in another thread, in a child of fork; and every bit is set half of the time. */
static void random_bytes_do_not_repeat(void **state)
{
    uint8_t(*draw)[DRAW_BYTES] = malloc((DRAWS + 3) * sizeof *draw);
    unsigned set[8 * DRAW_BYTES] = {0};
    int pipes[2];
    pthread_t t;
    for (int i = 0; i < DRAWS; i++) {
        os_random(os_posix(), draw[i], DRAW_BYTES);
        for (int k = 0; k < 8 * DRAW_BYTES; k++) set[k] += draw[i][k / 8] >> k % 8 & 1;
    }
    for (int k = 0; k < 8 * DRAW_BYTES; k++) assert_in_range(set[k], DRAWS / 2 - DRAWS / 100, DRAWS / 2 + DRAWS / 100); /* nine deviations */
    assert_int_equal(thread_start(&t, "draw", draw_in_thread, draw[DRAWS]), E_OK);
    thread_join(t);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        uint8_t own[DRAW_BYTES];
        os_random(os_posix(), own, DRAW_BYTES);
        CHECK(write(pipes[1], own, DRAW_BYTES) == DRAW_BYTES);
        _exit(0);
    }
    assert_int_equal(read(pipes[0], draw[DRAWS + 1], DRAW_BYTES), DRAW_BYTES);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(pipes[0]), close(pipes[1]);
    os_random(os_posix(), draw[DRAWS + 2], DRAW_BYTES);
    qsort(draw, DRAWS + 3, sizeof *draw, draw_cmp);
    for (int i = 1; i < DRAWS + 3; i++) assert_true(draw_cmp(draw[i - 1], draw[i]) < 0);
    free(draw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_faults_go_to_the_earlier_handler),
        cmocka_unit_test(a_lost_page_is_an_error),
        cmocka_unit_test(threads_fault_apart),
        cmocka_unit_test(an_empty_file_can_be_mapped),
        cmocka_unit_test(failing_writes_are_reported),
        cmocka_unit_test(locks_hold_between_processes),
        cmocka_unit_test(os_free_leaves_the_shared_one),
        cmocka_unit_test(random_bytes_do_not_repeat),
    };
    if (!mkdtemp(dir)) return 1;
    log_set_level(LOG_NOTHING); /* these failures are wanted */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const made[] = {"cut", "threads", "chain", "empty", "limit", "lock"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) unlink(at(made[i]));
    rmdir(dir);
    return failed;
}
