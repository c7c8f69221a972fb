#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CGateway.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int cgateway_parse_address(const char *text, uint16_t port, struct cgateway_address *out) {
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)&out->storage;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        out->length = sizeof *four;
        return 0;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->storage;
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        out->length = sizeof *six;
        return 0;
    }
    return -EINVAL;
}

int cgateway_listen(const struct cgateway_address *address, int backlog) {
    int descriptor = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0) return -errno;
    int on = 1, off = 0;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) goto failed;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) goto failed;
    // `::` takes IPv4 as well, whatever the machine's default is.
    if (address->storage.ss_family == AF_INET6 &&
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        goto failed;
    if (bind(descriptor, (const struct sockaddr *)&address->storage, address->length) < 0) goto failed;
    if (listen(descriptor, backlog) < 0) goto failed;
    return descriptor;
failed:;
    int error = errno;
    close(descriptor);
    return -error;
}

bool cgateway_is_free(const struct cgateway_address *address) {
    int descriptor = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0) return false;
    int on = 1, off = 0;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->storage.ss_family == AF_INET6) {
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    bool is_free = bind(descriptor, (const struct sockaddr *)&address->storage, address->length) == 0 ||
                   errno != EADDRINUSE;
    close(descriptor);
    return is_free;
}

int cgateway_bound_port(int descriptor) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0) return -errno;
    if (storage.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&storage)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
}

static void address_text(const struct sockaddr_storage *storage, struct cgateway_address_text *out) {
    out->bytes[0] = 0;
    out->port = 0;
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)storage;
        inet_ntop(AF_INET, &four->sin_addr, out->bytes, sizeof out->bytes);
        out->port = ntohs(four->sin_port);
    } else if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)storage;
        cgateway_format_address(six->sin6_addr.s6_addr, ntohs(six->sin6_port), out);
    }
    out->length = (uint8_t)strlen(out->bytes);
}

void cgateway_format_address(const uint8_t bytes[16], uint16_t port, struct cgateway_address_text *out) {
    struct in6_addr address;
    memcpy(address.s6_addr, bytes, sizeof address.s6_addr);
    // An IPv4 peer of a dual-stack listener is shown, logged and forwarded as what it is.
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        inet_ntop(AF_INET, bytes + 12, out->bytes, sizeof out->bytes);
    } else {
        inet_ntop(AF_INET6, &address, out->bytes, sizeof out->bytes);
    }
    out->length = (uint8_t)strlen(out->bytes);
    out->port = port;
}

bool cgateway_local_address(int descriptor, struct cgateway_address_text *out) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0) return false;
    address_text(&storage, out);
    return out->length > 0;
}

int cgateway_accept(int listener, struct cgateway_address_text *peer) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int descriptor;
    do {
        length = sizeof storage;
        descriptor = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return -errno;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    address_text(&storage, peer);
    return descriptor;
}

int cgateway_connect(const struct cgateway_address *address, bool *in_progress) {
    int descriptor = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0) return -errno;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, (const struct sockaddr *)&address->storage, address->length) == 0) {
        *in_progress = false;
        return descriptor;
    }
    if (errno == EINPROGRESS) {
        *in_progress = true;
        return descriptor;
    }
    int error = errno;
    close(descriptor);
    return -error;
}

int cgateway_connect_result(int descriptor) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
    return -error;
}

void cgateway_close_with_reset(int descriptor) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(descriptor);
}

bool cgateway_is_quiet(int descriptor) {
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

int cgateway_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int cgateway_eventfd(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static int control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int cgateway_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, descriptor, events, token);
}

int cgateway_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, descriptor, events, token);
}

static int64_t microseconds_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t cgateway_monotonic_microseconds(void) { return microseconds_of(CLOCK_MONOTONIC); }
int64_t cgateway_wall_microseconds(void) { return microseconds_of(CLOCK_REALTIME); }

int64_t cgateway_thread_user_microseconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) < 0) return 0;
    return (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
}

int64_t cgateway_thread_microseconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

int cgateway_random(void *bytes, size_t count) {
    uint8_t *next = bytes;
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        next += got;
        count -= (size_t)got;
    }
    return 0;
}

int64_t cgateway_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) limit.rlim_cur = before;
    }
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

struct thread_start {
    void (*body)(void *);
    void *context;
};

static void *run_thread(void *argument) {
    // A peer that has closed is told by EPIPE. splice(2) into a socket cannot be asked for no signal, as send(2) can.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    start.body(start.context);
    return NULL;
}

void cgateway_trim_heap(void) { malloc_trim(0); }

// The C library has no declaration of it (linux/sched/types.h).
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

// What the calling thread had before it was given any precedence.
static _Thread_local struct {
    bool is_known, is_usual;
    int32_t nice;
} started_with;

bool cgateway_take_precedence(enum cgateway_precedence precedence) {
    struct scheduling attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return false;
    if (!started_with.is_known) {
        started_with.is_known = true;
        started_with.is_usual = attributes.policy == SCHED_OTHER;
        started_with.nice = attributes.nice;
    }
    if (!started_with.is_usual) return false;
    bool is_first = precedence == CGATEWAY_FIRST;
    attributes.policy = is_first ? SCHED_RR : SCHED_OTHER;
    attributes.priority = is_first ? 1 : 0;
    // 0.1 ms, the least that the kernel takes.
    attributes.runtime = is_first ? 0 : 100000;
    attributes.nice = started_with.nice;
    if (precedence == CGATEWAY_BEFORE_OTHERS && attributes.nice > -10) attributes.nice = -10;
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return true;
    if (precedence == CGATEWAY_BEFORE_OTHERS) {
        attributes.nice = started_with.nice;
        syscall(SYS_sched_setattr, 0, &attributes, 0);
    }
    return false;
}

int cgateway_start_thread(const char *name, void (*body)(void *), void *context, unsigned long *thread) {
    struct thread_start *start = malloc(sizeof *start);
    if (start == NULL) return ENOMEM;
    start->body = body;
    start->context = context;
    pthread_t id;
    int error = pthread_create(&id, NULL, run_thread, start);
    if (error != 0) {
        free(start);
        return error;
    }
    char short_name[16];
    strncpy(short_name, name, sizeof short_name - 1);
    short_name[sizeof short_name - 1] = 0;
    pthread_setname_np(id, short_name);
    *thread = (unsigned long)id;
    return 0;
}

void cgateway_detach_thread(unsigned long thread) { pthread_detach((pthread_t)thread); }
void cgateway_join_thread(unsigned long thread) { pthread_join((pthread_t)thread, NULL); }

void *cgateway_reserve(size_t bytes) {
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

void cgateway_unreserve(void *base, size_t bytes) { munmap(base, bytes); }
void cgateway_discard(void *base, size_t bytes) { madvise(base, bytes, MADV_DONTNEED); }

void cgateway_close(int descriptor) { close(descriptor); }
void cgateway_shutdown_writing(int descriptor) { shutdown(descriptor, SHUT_WR); }

void cgateway_signal(int eventfd) {
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write(eventfd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    // EAGAIN means that the counter is at its end: the loop is being woken anyway.
}

void cgateway_drain_signal(int eventfd) {
    uint64_t count;
    ssize_t got;
    do {
        got = read(eventfd, &count, sizeof count);
    } while (got < 0 && errno == EINTR);
}
