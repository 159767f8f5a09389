/* Replies beyond those that families use (module.h): raw bytes, pushes, big numbers, attributes; and the two views of one buffer that
 * the dispatcher needs. */
#ifndef VARVE_SERVER_REPLY_H
#define VARVE_SERVER_REPLY_H

#include "module.h"

void reply_raw(struct call *c, const char *bytes);
void reply_empty_array(struct call *c);
void reply_push(struct call *c, size_t n);              /* RESP3; RESP2: array */
void reply_attribute(struct call *c, size_t n);         /* RESP3 only */
void reply_bignum(struct call *c, const char *digits);  /* RESP2: bulk */
/* The lines of a HELP sub-command: text with '\n' between lines; head and tail are added. */
void reply_help(struct call *c, const char *command, const char *lines);
/* Appends a finished error to any buffer. */
void reply_error_to(struct buf *out, const char *text);

#endif
