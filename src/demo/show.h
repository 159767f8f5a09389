/* Replies and texts for people at a terminal. */
#ifndef VARVE_DEMO_SHOW_H
#define VARVE_DEMO_SHOW_H

#include <hiredis/hiredis.h>

/* A command's whole reply, indented, long texts and long lists cut with a word about it. What RESP2 sends as name, value, name, value … is shown as
 * name=value. Bytes that are no UTF-8 or would move the cursor are written as \xhh. */
void show_reply(const redisReply *v);

#endif
