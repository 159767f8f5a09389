/* DRUN and DVIEW: commands that only read, of any family, as of a point. */
#include "modules/doc/doc.h"

void cmd_drun(struct call *c)
{
    struct doc_place at;
    if (doc_point(c, c->argv[1], &at)) view_run(c, at.seq, at.ms, 2);
}

void cmd_dview(struct call *c)
{
    struct doc_place at;
    if (arg_is(c, 1, "OFF"))
        view_end(c);
    else if (doc_point(c, c->argv[1], &at))
        view_set(c, at.seq, at.ms);
}
