/* Requests of the Redis protocol, read incrementally and in place.
 *
 * A request is an array of bulk strings, or one line of words (an inline command). Arguments are slices of the caller's input
 * buffer; only the words of an inline command are copied (they may hold escapes). Several complete requests may stand in `args` one behind the
 * other, so that a pipeline can be looked at before it runs:
 *
 *   resp_next() == RESP_REQUEST   args[first .. first+argc) are its arguments; resp_next may be called again
 *   resp_forget()                 drops the complete requests and keeps what there is of an unfinished one
 *
 * The bytes from the start of an unfinished request must stay; when they move, resp_moved() corrects the slices. */
#ifndef VARVE_SERVER_RESP_H
#define VARVE_SERVER_RESP_H

#include "base/buf.h"
#include "base/slice.h"

#define RESP_LINE_MAX (64 * 1024)      /* bytes of an inline command or of a length line */
#define RESP_ARGS_MAX 2147483647       /* arguments of one request */
#define RESP_ANON_ARGS_MAX 10          /* before authentication */
#define RESP_ANON_BULK_MAX 16384
#define RESP_BIG_BULK 32768            /* from here on a bulk gets a buffer of its size */

struct resp_limits {
    uint64_t bulk_max;
    bool anonymous;        /* not authenticated yet: the small limits hold */
};
struct resp_parser {       /* zero-initialise; resp_fini frees */
    slice *args;
    size_t n, cap;
    size_t first;          /* where the request in progress begins in args */
    int64_t missing;       /* its arguments still to come; 0 = between requests */
    int64_t bulk;          /* announced size of the next argument; <0 = its length line comes next */
    struct buf words;      /* decoded words of an inline command */
    char error[96];        /* text of RESP_ERROR, without its code */
};
enum resp_result { RESP_REQUEST, RESP_NOTHING, RESP_MORE, RESP_ERROR };

/* Reads on from *at. RESP_REQUEST: complete, p->first and argc tell where. RESP_NOTHING: an empty request was passed over. RESP_MORE: *at is
 * where to go on. RESP_ERROR: p->error says why; the connection is to be closed. */
enum resp_result resp_next(struct resp_parser *p, const uint8_t **at, const uint8_t *end, const struct resp_limits *limits, size_t *argc);
void resp_take(struct resp_parser *p);    /* the request just returned stays in args; the next goes behind it */
void resp_forget(struct resp_parser *p);  /* see above */
void resp_reset(struct resp_parser *p);   /* drops everything, also the unfinished one */
void resp_moved(struct resp_parser *p, const uint8_t *from, const uint8_t *to);
void resp_fini(struct resp_parser *p);
/* Bytes that the argument in progress needs beyond `have` bytes; 0 when it is small. */
size_t resp_big_rest(const struct resp_parser *p, size_t have);

/* Splits a line into words with Redis's quoting rules ("\x41\n", 'it\'s'). Words are appended to *text, slices to words[]. Returns their
 * number, or -1 for unbalanced quotes, or -2 when there are more than max. */
int resp_split_words(slice line, struct buf *text, slice *words, int max);

#endif
