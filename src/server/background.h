/* Work that a command starts and does not wait for: a checkpoint on a thread of its own. */
#ifndef VARVE_SERVER_BACKGROUND_H
#define VARVE_SERVER_BACKGROUND_H

#include "base/err.h"

#include <stdint.h>

struct server;
/* E_BUSY when one is at work; E_IO when no thread can be had. */
int background_checkpoint(struct server *s) MUST_CHECK;
/* In place; books the result. */
int checkpoint_now(struct server *s) MUST_CHECK;
/* Waits for what is at work; before the store closes. */
void background_finish(struct server *s);

/* Changes since the last checkpoint asked for. Any thread. */
int64_t background_dirty(const struct server *s);

#endif
