/* The tables of the document family, one a file, and the words that their rows share. */
#ifndef VARVE_MODULES_DOC_TABLES_H
#define VARVE_MODULES_DOC_TABLES_H

#include "module.h"

extern const struct command doc_documents[], doc_history[], doc_links[], doc_query[], doc_store[], doc_edit[], doc_changes[];

/* ACL categories */
#define DOC  "document"
#define PAST "document history"
#define WRITE_OPTIONS                                                                                                            \
    "[NX|XX] [IFSEQ seq|IFHASH hash] [IFCHANGED] [VALID from to] [CAUSEDBY n ref [ref ...]] [NOTE text] [IDEM token] "           \
    "[EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]"
#define META_OPTIONS "[CAUSEDBY n ref [ref ...]] [NOTE text] [IDEM token]"

#endif
