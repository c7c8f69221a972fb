#define _GNU_SOURCE
#include "CLocalProcesses.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum {
    CLP_P_PIDFD = 3,
    CLP_STACK_SIZE = 128 * 1024,
    CLP_GUARD_SIZE = 64 * 1024,
    CLP_SIGNAL_SET_SIZE = 8,
    CLP_HIGHEST_SIGNAL = 64,
    CLP_FIRST_INHERITED = 3,
    CLP_DESCRIPTOR_BOUND = 1 << 20,
};

struct child_arguments {
    const struct clp_spawn_request *request;
    // Written by the child, read by the parent after it: they share memory, and CLONE_VFORK orders them.
    volatile int error;
    volatile enum clp_stage stage;
};

static int fail(struct child_arguments *arguments, enum clp_stage stage) {
    arguments->stage = stage;
    arguments->error = errno == 0 ? EIO : errno;
    return 0;
}

// By system call: the C library does not give out the two signals that it uses itself, but hands them on ignored where
// its own parent ignored them. Larger than the kernel's structure on any architecture; all zero is SIG_DFL.
static void restore_default_dispositions(void) {
    uint64_t default_action[8] = {0};
    for (int number = 1; number <= CLP_HIGHEST_SIGNAL; number++)
        syscall(SYS_rt_sigaction, number, default_action, NULL, CLP_SIGNAL_SET_SIZE);
}

static int attach_streams(int output) {
    int input = open("/dev/null", O_RDONLY);
    if (input < 0) return 0;
    if (input != STDIN_FILENO) {
        if (dup2(input, STDIN_FILENO) < 0) return 0;
        close(input);
    }
    return dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0;
}

static void close_inherited_descriptors(void) {
    if (syscall(SYS_close_range, CLP_FIRST_INHERITED, ~0U, 0) == 0) return;
    struct rlimit limit;
    rlim_t bound = CLP_DESCRIPTOR_BOUND;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < bound) bound = limit.rlim_cur;
    for (int number = CLP_FIRST_INHERITED; number < (int)bound; number++) close(number);
}

static int run_child(void *opaque) {
    struct child_arguments *arguments = opaque;
    const struct clp_spawn_request *request = arguments->request;
    errno = 0;
    // Before any signal is let through: a handler of the parent would run in the parent's memory.
    restore_default_dispositions();
    if (setsid() < 0) return fail(arguments, CLP_STAGE_SESSION);
    for (size_t index = 0; index < request->control_group_count; index++) {
        if (write(request->control_groups[index], "0", 1) != 1) return fail(arguments, CLP_STAGE_CONTROL_GROUP);
    }
    if (request->working_directory != NULL && chdir(request->working_directory) != 0)
        return fail(arguments, CLP_STAGE_WORKING_DIRECTORY);
    if (!attach_streams(request->output)) return fail(arguments, CLP_STAGE_STREAMS);
    close_inherited_descriptors();
    // The gateway's event loops may go first on the processor (LimitRTPRIO and LimitNICE of its unit); what they serve
    // may not.
    struct rlimit no_precedence = {0, 0};
    setrlimit(RLIMIT_RTPRIO, &no_precedence);
    setrlimit(RLIMIT_NICE, &no_precedence);
    uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, CLP_SIGNAL_SET_SIZE);
    execve(request->executable, request->arguments, request->environment);
    return fail(arguments, CLP_STAGE_EXECUTE);
}

int clp_spawn(const struct clp_spawn_request *request, struct clp_spawned *spawned) {
    struct child_arguments arguments = {request, 0, CLP_STAGE_CLONE};
    spawned->process_id = -1;
    spawned->pidfd = -1;
    spawned->stage = CLP_STAGE_CLONE;
    char *stack = mmap(
        NULL, CLP_GUARD_SIZE + CLP_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return errno;
    mprotect(stack, CLP_GUARD_SIZE, PROT_NONE);

    // With every signal blocked (those of the C library too) no handler can run in the child.
    uint64_t all = ~(uint64_t)0, previous = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &previous, CLP_SIGNAL_SET_SIZE);
    int pidfd = -1;
    pid_t child = clone(
        run_child, stack + CLP_GUARD_SIZE + CLP_STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &arguments,
        &pidfd);
    int clone_error = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &previous, NULL, CLP_SIGNAL_SET_SIZE);
    munmap(stack, CLP_GUARD_SIZE + CLP_STACK_SIZE);

    if (child < 0) return clone_error;
    if (arguments.error != 0) {
        siginfo_t info;
        while (waitid((idtype_t)CLP_P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0 && errno == EINTR) {}
        close(pidfd);
        spawned->stage = arguments.stage;
        return arguments.error;
    }
    spawned->process_id = child;
    spawned->pidfd = pidfd;
    return 0;
}

int clp_pidfd_open(pid_t process_id) {
    // The kernel sets close-on-exec itself.
    return (int)syscall(SYS_pidfd_open, process_id, 0);
}

int clp_pidfd_send_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : errno;
}

enum clp_end clp_wait(int pidfd, int reap, int *value) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int options = WEXITED | WNOHANG | (reap ? 0 : WNOWAIT);
    while (waitid((idtype_t)CLP_P_PIDFD, (id_t)pidfd, &info, options) != 0) {
        if (errno != EINTR) return CLP_END_UNKNOWN;
    }
    *value = info.si_status;
    if (info.si_pid == 0) return CLP_END_RUNNING;
    return info.si_code == CLD_EXITED ? CLP_END_EXITED : CLP_END_SIGNALLED;
}

void clp_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
