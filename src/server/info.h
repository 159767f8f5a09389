/* INFO: what the server knows about itself, section by section, in Redis's fields and one section of its own (varve). */
#ifndef VARVE_SERVER_INFO_H
#define VARVE_SERVER_INFO_H

#include "base/buf.h"
#include "base/slice.h"

struct loop;
struct server;

/* Appends the sections asked for (none: the default ones). `l` is the asking loop. */
void info_text(struct server *s, struct loop *l, const slice *sections, size_t n, struct buf *out);
/* Counters of one loop to zero; on its thread. */
void info_reset(struct loop *l);

#endif
