#include "tool/report.h"

#include "base/mem.h"

#include <stdarg.h>
#include <unistd.h>

void report_init(struct report *r, bool silent)
{
    *r = (struct report){.silent = silent, .terminal = !silent && isatty(STDERR_FILENO)};
}

void report_fini(struct report *r)
{
    report_progress_end(r);
    buf_fini(&r->files);
    mem_free(r->lost);
    *r = (struct report){0};
}

static void show(struct report *r, const char *kind, struct place at, const char *format, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof text, format, ap);
    report_progress_end(r);
    printf("%s", kind);
    if (at.file) printf(" %s", at.file);
    if (at.offset != NO_OFFSET) printf(" offset %llu", (unsigned long long)at.offset);
    if (at.seq) printf(" seq %llu", (unsigned long long)at.seq);
    printf(": %s\n", text);
}

static void remember(struct report *r, const char *file)
{
    for (size_t i = 0; i < r->files.n; i += strlen((const char *)r->files.p + i) + 1)
        if (strcmp((const char *)r->files.p + i, file) == 0) return;
    buf_add(&r->files, file, strlen(file) + 1);
}

void report_fault(struct report *r, struct place at, const char *format, ...)
{
    va_list ap;
    r->faults++;
    if (at.file) remember(r, at.file);
    if (r->silent || r->faults > REPORT_SHOWN_MAX) return;
    va_start(ap, format);
    show(r, "FAULT", at, format, ap);
    va_end(ap);
    if (r->faults == REPORT_SHOWN_MAX) printf("FAULT (more are counted, not shown)\n");
}

void report_note(struct report *r, struct place at, const char *format, ...)
{
    va_list ap;
    r->notes++;
    if (r->silent || r->notes > REPORT_SHOWN_MAX) return;
    va_start(ap, format);
    show(r, "note ", at, format, ap);
    va_end(ap);
}

void report_lost(struct report *r, uint64_t from, uint64_t to)
{
    if (from > to) return;
    if (r->n_lost && r->lost[r->n_lost - 1].to + 1 == from) {
        r->lost[r->n_lost - 1].to = to;
        return;
    }
    if (r->n_lost == r->cap_lost) {
        r->cap_lost = r->cap_lost ? r->cap_lost * 2 : 16;
        r->lost = mem_realloc(r->lost, r->cap_lost * sizeof *r->lost);
    }
    r->lost[r->n_lost++] = (struct lost){from, to};
}

uint64_t report_lost_count(const struct report *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->n_lost; i++) n += r->lost[i].to - r->lost[i].from + 1;
    return n;
}

void report_progress(struct report *r, const char *what, uint64_t done, uint64_t total)
{
    if (!r->terminal || total == 0) return;
    unsigned percent = (unsigned)((double)done * 100 / (double)total);
    if (r->last_shown == what && r->last_percent == percent) return;
    r->last_shown = what;
    r->last_percent = percent;
    r->line_open = true;
    fprintf(stderr, "\r\033[K%s %u%%", what, percent);
    fflush(stderr);
}

void report_progress_end(struct report *r)
{
    if (!r->line_open) return;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
    r->line_open = false;
    r->last_shown = NULL;
}
