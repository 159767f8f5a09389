/* Reads beside one writer, and what is left when handles outlive names. */
#include "base/os.h"
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORD 1000
#define RECORDS 2000

static struct os *os;
static struct os_file *file;
static atomic_int written;

static void write_records(void *arg)
{
    uint8_t record[RECORD];
    for (int i = 0; i < RECORDS; i++) {
        memset(record, i, RECORD);
        if (os_write(os, file, (uint64_t)i * RECORD, record, RECORD) != E_OK) abort();
        atomic_store(&written, i + 1);
    }
}

static void read_records(void *arg)
{
    uint8_t record[RECORD];
    unsigned dice = 1;
    for (int seen = 0; seen < RECORDS;) {
        seen = atomic_load(&written);
        if (seen == 0) continue;
        dice = dice * 1103515245 + 12345;
        int i = (int)(dice >> 8) % seen;
        if (os_read_full(os, file, (uint64_t)i * RECORD, record, RECORD) != E_OK) abort();
        for (int j = 0; j < RECORD; j++)
            if (record[j] != (uint8_t)i) abort();
    }
}

static void readers_beside_a_writer(void **state)
{
    pthread_t w, r[2];
    assert_int_equal(os_open(os, "f", OS_WRITE, &file), E_OK);
    assert_int_equal(thread_start(&w, "writer", write_records, NULL), E_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(thread_start(&r[i], "reader", read_records, NULL), E_OK);
    thread_join(w);
    for (int i = 0; i < 2; i++) thread_join(r[i]);
    os_close(os, &file);
}

static int remove_it(void *ctx, const char *name) { return os_remove(os, name); }

static void a_list_may_remove(void **state)
{
    for (int i = 0; i < 20; i++) {
        char name[16];
        struct os_file *f = NULL;
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(os_open(os, name, OS_WRITE, &f), E_OK);
        os_close(os, &f);
    }
    assert_int_equal(os_list(os, ".", remove_it, NULL), E_OK);
    assert_int_equal(os_list(os, ".", remove_it, NULL), E_OK);
}

static int start(void **state)
{
    os = os_memory_new();
    return 0;
}
static int finish(void **state)
{
    os_free(&os);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_beside_a_writer), cmocka_unit_test(a_list_may_remove)};
    return cmocka_run_group_tests(tests, start, finish);
}
