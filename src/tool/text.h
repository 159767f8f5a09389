/* Texts for people: values as lines, and what changed between two of them. Memory that these take is the caller's buffers. */
#ifndef VARVE_TOOL_TEXT_H
#define VARVE_TOOL_TEXT_H

#include "base/buf.h"

#include <stdio.h>

/* Output that adapts to its reader: through $PAGER (less -FRX) and coloured when standard output is a terminal, plain otherwise. */
struct paper {
    FILE *f;
    bool colour, paged;
};
enum ink { INK_PLAIN, INK_HEAD, INK_ADDED, INK_REMOVED, INK_PLACE };
void paper_open(struct paper *p, bool pager);
/* False when not everything could be written (a pager that was left early is no failure). */
bool paper_close(struct paper *p);
void paper_ink(struct paper *p, enum ink ink); /* INK_PLAIN ends another */
/* Printable bytes and UTF-8 as they are, the others as \xhh; at most `max` bytes of them. */
void paper_bytes(struct paper *p, slice s, size_t max);

/* Checked JSON with a member or element a line, two spaces a level; the end has a line feed. Scalars keep their bytes. */
void text_pretty(slice json, struct buf *out);
/* May the bytes be shown as lines? (UTF-8 without control characters but tab, line feed, carriage return) */
bool text_is_text(slice s);

/* What turns a into b, by lines, with three lines around each change, in the unified form. Shortest edit (Myers, "An O(ND) difference algorithm and its
 * variations", 1986) up to TEXT_EDITS_MAX line changes; beyond that the differing middle is shown as replaced. Nothing is printed when they are equal. */
#define TEXT_EDITS_MAX 2000
void text_diff(struct paper *p, slice a, slice b);

#endif
