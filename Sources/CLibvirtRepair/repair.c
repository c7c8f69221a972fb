// libvirt before 10.4 leaves the watch of its socket behind when a call is woken by another thread (CVE-2024-4418): the
// watch points into the stack of a function that has returned, and the next packet writes there. Debian 12 has such a
// libvirt. A process with events, keepalive and several calls at once on a connection, as this one, meets it within
// hours: `scripts/lab faults` did.
//
// The mend is upstream's: when the loop that a call waits in returns, the watches that this thread attached for it are
// destroyed. libvirt calls GLib through its procedure linkage table, so that these two definitions are found first.
// With a libvirt that is mended they find nothing left to destroy.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct _GSource GSource;
typedef struct _GMainContext GMainContext;
typedef struct _GMainLoop GMainLoop;

unsigned int g_source_attach(GSource *source, GMainContext *context);
void g_main_loop_run(GMainLoop *loop);

// A call attaches a watch of its socket and sometimes a timer; more are not remembered, and then not destroyed.
#define MAXIMUM_ATTACHED 8

static _Thread_local struct {
    GMainContext *context;
    unsigned int id;
} attached[MAXIMUM_ATTACHED];
static _Thread_local unsigned int next_attached;

// There is no GLib without these: whoever calls has loaded it.
static void *glib(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

unsigned int g_source_attach(GSource *source, GMainContext *context) {
    unsigned int (*attach)(GSource *, GMainContext *) = glib("g_source_attach");
    unsigned int id = attach(source, context);
    // The process-wide loop keeps its watches.
    if (context != NULL) {
        attached[next_attached].context = context;
        attached[next_attached].id = id;
        next_attached = (next_attached + 1) % MAXIMUM_ATTACHED;
    }
    return id;
}

void g_main_loop_run(GMainLoop *loop) {
    void (*run)(GMainLoop *) = glib("g_main_loop_run");
    GMainContext *(*context_of)(GMainLoop *) = glib("g_main_loop_get_context");
    GSource *(*find)(GMainContext *, unsigned int) = glib("g_main_context_find_source_by_id");
    void (*destroy)(GSource *) = glib("g_source_destroy");
    run(loop);
    GMainContext *context = context_of(loop);
    for (unsigned int place = 0; place < MAXIMUM_ATTACHED; place++) {
        if (attached[place].context != context) continue;
        GSource *source = find(context, attached[place].id);
        if (source != NULL) destroy(source);
        attached[place].context = NULL;
    }
}
