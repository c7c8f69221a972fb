// System calls that Swift cannot reach or may not make: code between vfork and exec runs in the parent's memory, where
// no allocation, lock or reference count may be touched.
#ifndef CLOCALPROCESSES_H
#define CLOCALPROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

/// What was being done when a spawn failed.
enum clp_stage {
    CLP_STAGE_CLONE = 0,
    CLP_STAGE_SESSION = 1,
    CLP_STAGE_CONTROL_GROUP = 2,
    CLP_STAGE_WORKING_DIRECTORY = 3,
    CLP_STAGE_STREAMS = 4,
    CLP_STAGE_EXECUTE = 5,
};

struct clp_spawn_request {
    const char *executable;
    /// Both end with a null pointer.
    char *const *arguments;
    char *const *environment;
    /// Null keeps the parent's.
    const char *working_directory;
    /// Becomes standard output and standard error; at least 3.
    int output;
    /// Open cgroup.procs files that the process enters before it runs the program; all at least 3.
    const int *control_groups;
    size_t control_group_count;
};

struct clp_spawned {
    pid_t process_id;
    /// Closed on exec; belongs to the caller.
    int pidfd;
    /// Valid where the spawn failed.
    enum clp_stage stage;
};

/// Starts a program as leader of a session and process group of its own, with empty signal mask, default
/// dispositions, /dev/null as input and no other descriptor than the three standard ones. Returns when the program has
/// been executed: 0, or the errno of the stage that failed (nothing is left behind then).
int clp_spawn(const struct clp_spawn_request *request, struct clp_spawned *spawned);

/// A descriptor of a process that polls readable when it ends; -1 with errno. Closed on exec.
int clp_pidfd_open(pid_t process_id);

/// 0, or errno.
int clp_pidfd_send_signal(int pidfd, int signal);

enum clp_end {
    CLP_END_RUNNING = 0,
    CLP_END_EXITED = 1,
    CLP_END_SIGNALLED = 2,
    /// It is not (or no longer) a child of this process, so how it ended cannot be told.
    CLP_END_UNKNOWN = 3,
};

/// How a child ended, and its exit code or signal in `value`. With `reap` zero the child stays a zombie, so that its
/// number cannot be given to another process yet.
enum clp_end clp_wait(int pidfd, int reap, int *value);

/// Shown by debuggers and top; cut to 15 bytes.
void clp_name_thread(const char *name);

#endif
