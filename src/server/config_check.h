/* Texts of parameters that have a form of their own: accepted and brought to the form in which they are shown. */
#ifndef VARVE_SERVER_CONFIG_CHECK_H
#define VARVE_SERVER_CONFIG_CHECK_H

#include "base/buf.h"
#include "base/slice.h"

#define BIND_ADDRESSES_MAX 16

/* Appends the normal form of `value` to *out and returns NULL, or says why not (static text). `was` is the value in force. */
typedef const char *(*config_check)(slice value, slice was, struct buf *out);

const char *check_octal(slice value, slice was, struct buf *out);
const char *check_output_limits(slice value, slice was, struct buf *out);
const char *check_save(slice value, slice was, struct buf *out);
const char *check_percentiles(slice value, slice was, struct buf *out);
const char *check_events(slice value, slice was, struct buf *out);
const char *check_memory_percent(slice value, slice was, struct buf *out);
const char *check_three_integers(slice value, slice was, struct buf *out);
const char *check_shutdown(slice value, slice was, struct buf *out);
const char *check_replicaof(slice value, slice was, struct buf *out);
const char *check_bind(slice value, slice was, struct buf *out);

/* Words of a value, separated by blanks. Returns how many, at most max. */
#define CONFIG_WORDS_MAX 64 /* in any value */
size_t config_words(slice value, slice *words, size_t max);

#endif
