/* Worked examples in the format pages: lines `offset: bytes in hex   words` between `<!-- example: NAME -->` and `<!-- end -->`. Words stand behind three
 * spaces. Offsets are checked. */
#ifndef VARVE_TESTS_SUPPORT_PAGE_H
#define VARVE_TESTS_SUPPORT_PAGE_H

#include "base/buf.h"
#include "base/hash.h"

#include <stdio.h>

/* Replaces *out. False: there is no such example, or an offset is wrong. */
static inline bool page_example(const char *page, const char *name, struct buf *out)
{
    char line[512], begin[128];
    bool in = false, found = false, right = true;
    FILE *f = fopen(page, "r");
    if (!f) return false;
    buf_clear(out);
    (void)snprintf(begin, sizeof begin, "<!-- example: %s -->", name);
    while (fgets(line, sizeof line, f)) {
        unsigned offset;
        int used = 0;
        uint8_t byte;
        if (strstr(line, begin)) in = found = true;
        if (strstr(line, "<!-- end -->")) in = false;
        if (!in || sscanf(line, "%4x:%n", &offset, &used) != 1 || used == 0) continue;
        if (offset != out->n) right = false;
        for (const char *p = line + used; p[0] == ' ' && hex_decode(&byte, p + 1, 1); p += 3) buf_add_byte(out, byte);
    }
    fclose(f);
    return found && right && out->n > 0;
}

#endif
