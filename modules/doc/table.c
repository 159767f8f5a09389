/* The document family. */
#include "modules/doc/tables.h"

FAMILY(doc, doc_documents, doc_edit, doc_history, doc_links, doc_query, doc_store, doc_changes);
EXPORT_MODULE(doc)
