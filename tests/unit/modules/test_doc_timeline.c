/* DTIMELINE through a whole server: at every instant, and as seen from every point, it says what DGET VALIDAT says. */
#include "support/json_gen.h"
#include "unit/modules/family_bed.h"

#define INSTANTS 24
#define WRITES 30

static const char *ask(struct bed *b, const char *command)
{
    bed_expect(b, command, NULL);
    return b->got;
}

static void write_some(struct bed *b, struct rng *r, unsigned round)
{
    char command[128];
    for (unsigned i = 0; i < WRITES; i++) {
        unsigned from = rng_below(r, INSTANTS), to = from + 1 + rng_below(r, 8), kind = rng_below(r, 12);
        if (kind == 0)
            snprintf(command, sizeof command, "DPUT t:%u %u", round, i);
        else if (kind == 1)
            snprintf(command, sizeof command, "DDEL t:%u", round);
        else if (kind < 4)
            snprintf(command, sizeof command, "DDEL t:%u VALID %u %u", round, from, to);
        else if (kind == 4)
            snprintf(command, sizeof command, "EXPIRE t:%u 1000", round);
        else if (kind == 5)
            snprintf(command, sizeof command, "DPUT t:%u %u VALID - %u", round, i, to);
        else
            snprintf(command, sizeof command, "DPUT t:%u %u VALID %u %u", round, i, from, to);
        (void)ask(b, command);
    }
}

/* The data of a line with at most one row, as DGET would reply it. */
static void data_of(const char *line, char *out, size_t n)
{
    const char *data = strstr(line, "$4 data ");
    snprintf(out, n, "%.200s", data ? data + 8 : "$-1");
}

static void same_as_reads(void **state)
{
    struct bed *b = *state;
    struct rng r = {11};
    char command[128], want[256], got[256];
    unsigned rows = 0;
    for (unsigned round = 0; round < 12; round++) {
        write_some(b, &r, round);
        for (int t = -1; t < INSTANTS + 10; t++) {
            unsigned at = rng_below(&r, WRITES * (round + 1)) + 1;
            for (int past = 0; past < 2; past++) {
                char point[32];
                snprintf(point, sizeof point, past ? "%u" : "head", at);
                snprintf(command, sizeof command, "DGET t:%u VALIDAT %d ASOF %s", round, t, point);
                snprintf(want, sizeof want, "%.200s", ask(b, command));
                snprintf(command, sizeof command, "DTIMELINE t:%u FROM %d TO %d ASOF %s", round, t, t + 1, point);
                data_of(ask(b, command), got, sizeof got);
                if (strcmp(want, got) != 0) print_error("%s\n", command);
                assert_string_equal(want, got);
                rows += got[1] != '-';
            }
        }
    }
    assert_true(rows > 100);
}

/* What a flush hides need not be there; what lies behind it must be. */
static void dropped_behind_a_flush(void **state)
{
    struct bed *b = *state;
    (void)ask(b, "DPUT d 1"), (void)ask(b, "DPUT d 2"), (void)ask(b, "FLUSHALL");
    (void)ask(b, "DPUT d 3 VALID 10 20"), (void)ask(b, "DCOMPACT KEEP 1");
    const char *line = ask(b, "DTIMELINE d");
    assert_non_null(strstr(line, "*1 "));
    assert_non_null(strstr(line, "$4 data $1 3"));
    bed_expect(b, "DGET d VALIDAT 5", "$-1");
    (void)ask(b, "DPUT d 4 VALID 30 40"), (void)ask(b, "DCOMPACT KEEP 1");
    bed_expect(b, "DTIMELINE d", "-PRUNED oldest readable seq of 'd' is 5");
    bed_expect(b, "DGET d VALIDAT 5", "-PRUNED oldest readable seq of 'd' is 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(same_as_reads), WITH_SERVER(dropped_behind_a_flush)};
    return cmocka_run_group_tests_name("doc_timeline", tests, NULL, NULL);
}
