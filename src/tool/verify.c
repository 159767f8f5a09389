/* varve verify: every file of a stopped store, in the order in which they vouch for each other: the manifest names the root, the root vouches for the
 * tree's entries, the entries vouch for the nodes. */
#include "tool/verify.h"

#include "base/mem.h"
#include "tool/run_file.h"
#include "tool/tool.h"

#include <string.h>

#define NAME "verify"

static void check_manifest(struct store *s, struct report *r)
{
    struct place at = {MANIFEST_FILE, NO_OFFSET, 0};
    if (s->manifest_why) report_fault(r, at, "%s", s->manifest_why);
    else if (!s->manifest.there) report_fault(r, at, "the file is missing, but there is a log");
    static const uint64_t mark_at[] = {0, 512, 32};
    for (int i = 0; i < 3; i++)
        if (s->mark_why[i]) report_fault(r, (struct place){"log/synced", mark_at[i], 0}, "%s (nothing is lost by that)", s->mark_why[i]);
}

static void check_runs(struct store *s, struct report *r, struct verify_sum *sum)
{
    for (uint32_t i = 0; i < s->manifest.n_runs; i++) {
        struct manifest_run want;
        struct run_file got;
        char name[40];
        manifest_file_run(&s->manifest, i, &want);
        (void)snprintf(name, sizeof name, "index/%08llu.run", (unsigned long long)want.id);
        report_progress(r, "index", i, s->manifest.n_runs);
        run_file_check(s->dir, name, &want, NULL, NULL, r, &got);
        sum->runs++;
        sum->entries += got.entries;
    }
}

static void note_leftovers(struct store *s, struct report *r)
{
    for (size_t i = 0; i < s->leftovers.n; i += strlen((const char *)s->leftovers.p + i) + 1)
        report_note(r, (struct place){(const char *)s->leftovers.p + i, NO_OFFSET, 0}, "no part of the store; left over");
}

void verify_store(struct store *s, struct report *r, struct verify_sum *sum)
{
    struct tree_file t;
    *sum = (struct verify_sum){0};
    check_manifest(s, r);
    tree_file_check(&t, s->dir, s->manifest.covers, s->manifest.good ? s->manifest.root : NULL, r);
    sum->tree_size = t.size;
    verify_log(s, &t, r, sum);
    if (s->manifest.good && s->manifest.covers > sum->last && store_floor(s) <= sum->last)
        report_fault(r, (struct place){MANIFEST_FILE, NO_OFFSET, 0}, "it covers seq %llu, the log ends at %llu", (unsigned long long)s->manifest.covers, (unsigned long long)sum->last);
    tree_file_fini(&t);
    check_runs(s, r, sum);
    note_leftovers(s, r);
    report_progress_end(r);
}

static void print_lost(const struct report *r)
{
    if (r->n_lost == 0) return;
    printf("lost      ");
    for (size_t i = 0; i < r->n_lost && i < 20; i++)
        printf(r->lost[i].from == r->lost[i].to ? "%s%llu" : "%s%llu-%llu", i ? ", " : "seq ", (unsigned long long)r->lost[i].from, (unsigned long long)r->lost[i].to);
    printf("%s (%llu)\n", r->n_lost > 20 ? ", …" : "", (unsigned long long)report_lost_count(r));
}

static void print_summary(const struct store *s, const struct report *r, const struct verify_sum *sum)
{
    char root[2 * DIGEST_BYTES + 1] = "unknown";
    if (s->manifest.good) digest_hex(root, s->manifest.root);
    printf("segments  %llu\n", (unsigned long long)sum->segments);
    printf("nodes     %llu, newest seq %llu", (unsigned long long)sum->nodes, (unsigned long long)sum->last);
    if (sum->dropped) printf(", %llu dropped by compaction", (unsigned long long)sum->dropped);
    printf("\nbytes     %llu\n", (unsigned long long)sum->bytes);
    printf("index     %llu run%s, %llu entries\n", (unsigned long long)sum->runs, sum->runs == 1 ? "" : "s", (unsigned long long)sum->entries);
    printf("tree      %llu entries, root %s\n", (unsigned long long)sum->tree_size, root);
    if (sum->last > sum->tree_size) printf("          %llu nodes are newer; the next start adds them\n", (unsigned long long)(sum->last - sum->tree_size));
    print_lost(r);
    if (r->faults) printf("DAMAGED: %llu fault%s\n", (unsigned long long)r->faults, r->faults == 1 ? "" : "s");
    else printf("whole: no fault found\n");
}

int tool_verify(int argc, char **argv)
{
    struct store s;
    struct report r;
    struct verify_sum sum;
    for (int i = 0; i < argc; i++)
        if (argv[i][0] == '-' && argv[i][1]) return tool_usage(NAME, "unknown option '%s'", argv[i]);
    if (argc != 1) return tool_usage(NAME, argc ? "one data directory at a time" : "which data directory?");
    int status = store_open(NAME, argv[0], &s);
    if (status != EXIT_YES) return status;
    report_init(&r, false);
    verify_store(&s, &r, &sum);
    print_summary(&s, &r, &sum);
    status = r.faults ? EXIT_NO : EXIT_YES;
    report_fini(&r);
    store_close(&s);
    return status;
}
