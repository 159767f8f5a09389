/* Commands that work on keys of any type: what the files of this family share. */
#ifndef VARVE_MODULES_KEY_KEY_H
#define VARVE_MODULES_KEY_KEY_H

#include "module.h"

/* The name TYPE shows. */
const char *key_type_name(uint8_t type);
/* Does the key exist? counts: see ks_look. False: an error has been replied. */
bool key_look(struct call *c, slice key, unsigned counts, struct ks_value *out, bool *found);
/* A database number in an argument. False: an error has been replied. */
bool key_database(struct call *c, int at, uint16_t *out);

/* KEYS, SCAN and DBSIZE in a view (walk.c); match_at: the argument that holds the pattern, 0 = all names. */
void key_past_names(struct call *c, int match_at);
void key_past_page(struct call *c, uint64_t cursor, size_t count, uint8_t type, int match_at);
void key_past_count(struct call *c);

void cmd_del(struct call *c);
void cmd_exists(struct call *c);
void cmd_type(struct call *c);
void cmd_touch(struct call *c);
void cmd_rename(struct call *c);
void cmd_renamenx(struct call *c);
void cmd_copy(struct call *c);
void cmd_move(struct call *c);
void cmd_randomkey(struct call *c);
void cmd_keys(struct call *c);
void cmd_scan(struct call *c);
void cmd_dbsize(struct call *c);
void cmd_flushdb(struct call *c);
void cmd_flushall(struct call *c);
void cmd_swapdb(struct call *c);
void cmd_expire(struct call *c);
void cmd_pexpire(struct call *c);
void cmd_expireat(struct call *c);
void cmd_pexpireat(struct call *c);
void cmd_ttl(struct call *c);
void cmd_pttl(struct call *c);
void cmd_expiretime(struct call *c);
void cmd_pexpiretime(struct call *c);
void cmd_persist(struct call *c);
void cmd_dump(struct call *c);
void cmd_restore(struct call *c);
void cmd_object_encoding(struct call *c);
void cmd_object_freq(struct call *c);
void cmd_object_idletime(struct call *c);
void cmd_object_refcount(struct call *c);
void cmd_object_help(struct call *c);

#endif
