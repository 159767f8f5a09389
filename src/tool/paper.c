#include "tool/text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void paper_open(struct paper *p, bool pager)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM"), *program = getenv("PAGER");
    *p = (struct paper){.f = stdout, .colour = terminal && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0};
    if (!pager || !terminal) return;
    if (!program) program = "less -FRX";
    if (!*program || strcmp(program, "cat") == 0) return;
    (void)signal(SIGPIPE, SIG_IGN); /* leaving the pager early is no error */
    FILE *f = popen(program, "w");
    if (!f) return;
    p->f = f;
    p->paged = true;
}

bool paper_close(struct paper *p)
{
    if (!p->paged) return fflush(p->f) == 0 && !ferror(p->f);
    bool ok = fflush(p->f) == 0 || errno == EPIPE;
    (void)pclose(p->f);
    return ok;
}

void paper_ink(struct paper *p, enum ink ink)
{
    static const char *const code[] = {"\033[m", "\033[33m", "\033[32m", "\033[31m", "\033[36m"};
    if (p->colour) fputs(code[ink], p->f);
}

/* Bytes of the UTF-8 sequence at s.p, 0 = none. */
static size_t sequence(slice s)
{
    uint8_t c = s.p[0];
    size_t n = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || s.n < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && s.p[1] < 0xa0) || (c == 0xed && s.p[1] > 0x9f) || (c == 0xf0 && s.p[1] < 0x90) ||
        (c == 0xf4 && s.p[1] > 0x8f))
        return 0;
    return n;
}

void paper_bytes(struct paper *p, slice s, size_t max)
{
    size_t i = 0;
    while (i < s.n && i < max) {
        uint8_t c = s.p[i];
        size_t n = c >= 0x80 ? sequence(slice_of(s.p + i, s.n - i)) : c >= 32 && c != 127;
        if (c == '\\')
            fputs("\\\\", p->f), i++;
        else if (n == 0)
            fprintf(p->f, "\\x%02x", c), i++;
        else
            (void)fwrite(s.p + i, 1, n, p->f), i += n;
    }
    if (i < s.n) fprintf(p->f, "… (%zu bytes)", s.n);
}

bool text_is_text(slice s)
{
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        size_t n =
            c >= 0x80 ? sequence(slice_of(s.p + i, s.n - i)) : (c >= 32 && c != 127) || c == '\t' || c == '\n' || c == '\r';
        if (n == 0) return false;
        i += n;
    }
    return true;
}
