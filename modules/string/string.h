/* Strings: what the files of this family share. */
#ifndef VARVE_MODULES_STRING_STRING_H
#define VARVE_MODULES_STRING_STRING_H

#include "module.h"

/* Looks a string up. True: *out is set, or *found is false. False: an error has been replied (wrong type, failure). */
bool string_get(struct call *c, slice key, struct ks_value *out, bool *found);
/* The same before it is written: no hit, no miss; writing is the access. */
bool string_get_to_write(struct call *c, slice key, struct ks_value *out, bool *found);
/* Replies the error when a string of this many bytes would be over the limit. */
bool string_fits(struct call *c, uint64_t old_bytes, uint64_t more_bytes);

void cmd_set(struct call *c);
void cmd_setnx(struct call *c);
void cmd_setex(struct call *c);
void cmd_psetex(struct call *c);
void cmd_get(struct call *c);
void cmd_getdel(struct call *c);
void cmd_getex(struct call *c);
void cmd_getset(struct call *c);
void cmd_mget(struct call *c);
void cmd_mset(struct call *c);
void cmd_msetnx(struct call *c);
void cmd_incr(struct call *c);
void cmd_decr(struct call *c);
void cmd_incrby(struct call *c);
void cmd_decrby(struct call *c);
void cmd_incrbyfloat(struct call *c);
void cmd_append(struct call *c);
void cmd_strlen(struct call *c);
void cmd_setrange(struct call *c);
void cmd_getrange(struct call *c);
void cmd_lcs(struct call *c);

#endif
