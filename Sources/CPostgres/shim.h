// libpq. Field codes of errors are macros of characters, which Swift does not see.
#ifndef CPOSTGRES_SHIM_H
#define CPOSTGRES_SHIM_H

#include <libpq-fe.h>

static const int cpostgres_field_sqlstate = PG_DIAG_SQLSTATE;
static const int cpostgres_field_message = PG_DIAG_MESSAGE_PRIMARY;
static const int cpostgres_field_detail = PG_DIAG_MESSAGE_DETAIL;

// Notices of the server (a table that exists already) are of no interest to anybody; libpq writes them to stderr.
static inline void cpostgres_ignore_notice(void *context, const PGresult *result) {
    (void)context;
    (void)result;
}

static inline void cpostgres_ignore_notices(PGconn *connection) {
    PQsetNoticeReceiver(connection, cpostgres_ignore_notice, 0);
}

#endif
