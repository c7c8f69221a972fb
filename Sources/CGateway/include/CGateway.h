// The few calls of the kernel that the gateway's event loop needs and that Swift cannot name well: epoll with its
// packed event, accept4, eventfd, and sockets made from text addresses. Every function that can fail gives back
// -errno, so that no caller has to read errno after other code has run.
#pragma once

#include "CGatewayTLS.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// An address to connect to, ready for the kernel.
struct cgateway_address {
    struct sockaddr_storage storage;
    uint32_t length;
};

// The text of an IP address, never longer than INET6_ADDRSTRLEN, and the port with it.
struct cgateway_address_text {
    char bytes[48];
    uint8_t length;
    uint16_t port;
};

// MARK: Sockets

// Reads an IPv4 or IPv6 address in text form. 0, or -EINVAL where it is none.
int cgateway_parse_address(const char *text, uint16_t port, struct cgateway_address *out);

// A listening, non-blocking TCP socket that shares its port with others of this process (SO_REUSEPORT).
int cgateway_listen(const struct cgateway_address *address, int backlog);

// Whether nobody listens there; sharing a port with another process by SO_REUSEPORT would split the consumers.
bool cgateway_is_free(const struct cgateway_address *address);

// The port that a socket is bound to, or -errno.
int cgateway_bound_port(int descriptor);

// The next connection, non-blocking, without Nagle's delay; its peer's address as text.
int cgateway_accept(int listener, struct cgateway_address_text *peer);

// The text of an address of 16 bytes, an IPv4 address that IPv6 embeds as what it is.
void cgateway_format_address(const uint8_t bytes[16], uint16_t port, struct cgateway_address_text *out);

// This side's address of a connection; false where it has none.
bool cgateway_local_address(int descriptor, struct cgateway_address_text *out);

// Begins a connection. The descriptor; `*in_progress` says whether it is still being made.
int cgateway_connect(const struct cgateway_address *address, bool *in_progress);

// What became of a connection that was in progress: 0 or -errno.
int cgateway_connect_result(int descriptor);

// Closes with a reset, so that the peer cannot mistake the end of the bytes for the end of the message.
void cgateway_close_with_reset(int descriptor);

// Whether a connection that nobody should speak on is still fit for a request: open, and nothing to read.
bool cgateway_is_quiet(int descriptor);

// MARK: Waiting

int cgateway_epoll_create(void);
int cgateway_eventfd(void);
int cgateway_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t token);
int cgateway_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t token);

// The three calls of every request go to the kernel without the C library's wrappers: in a process of several threads
// these allow and forbid pthread_cancel around each call, which nobody here uses. It is a fortieth of a loop's time.

static inline ssize_t cgateway_receive(int descriptor, void *buffer, size_t capacity) {
    ssize_t count;
    do {
        count = syscall(SYS_recvfrom, descriptor, buffer, capacity, 0, NULL, NULL);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

// As `cgateway_receive`, but what is received stays in the socket.
static inline ssize_t cgateway_peek(int descriptor, void *buffer, size_t capacity) {
    ssize_t count;
    do {
        count = recv(descriptor, buffer, capacity, MSG_PEEK);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static inline ssize_t cgateway_send(int descriptor, const void *bytes, size_t count) {
    ssize_t sent;
    do {
        sent = syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, NULL, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static inline int cgateway_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout_milliseconds) {
    // Without a set of signals, whose size is said all the same. Not every processor's kernel has epoll_wait.
    long count = syscall(SYS_epoll_pwait, epoll, events, capacity, timeout_milliseconds, NULL, 8);
    return count < 0 ? -errno : (int)count;
}

static inline uint64_t cgateway_event_token(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t cgateway_event_flags(const struct epoll_event *event) { return event->events; }

static inline bool cgateway_is_readable(uint32_t events) { return (events & EPOLLIN) != 0; }
static inline bool cgateway_is_writable(uint32_t events) { return (events & EPOLLOUT) != 0; }
static inline bool cgateway_is_peer_finished(uint32_t events) { return (events & EPOLLRDHUP) != 0; }
static inline bool cgateway_is_broken(uint32_t events) { return (events & (EPOLLHUP | EPOLLERR)) != 0; }

// Registered once for a connection's whole life: the kernel tells every change once.
static inline uint32_t cgateway_connection_interest(void) { return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET; }
static inline uint32_t cgateway_listener_interest(void) { return EPOLLIN; }

// A pipe, non-blocking, that holds so many bytes where the kernel allows it. How many it holds, or -errno.
int cgateway_pipe(int ends[2], int bytes);

// Moves bytes from a socket to a pipe or from a pipe to a socket. How many, 0 at the source's end, or -errno.
ssize_t cgateway_splice(int source, int sink, size_t count);

// MARK: Time and threads

// Microseconds of the monotonic clock, and of the wall clock; neither enters the kernel where the vDSO serves them.
int64_t cgateway_monotonic_microseconds(void);
int64_t cgateway_wall_microseconds(void);

// Processor time of the calling thread in user mode, in microseconds.
int64_t cgateway_thread_user_microseconds(void);

// All that it has used, the kernel's share for it included.
int64_t cgateway_thread_microseconds(void);

// Fills with random bytes from the kernel; 0 or -errno.
int cgateway_random(void *bytes, size_t count);

// Raises the process's limit of open files as far as it may go; the limit then.
int64_t cgateway_descriptor_limit(void);

// How a thread stands to the others that want its processor.
enum cgateway_precedence {
    // As the process was started.
    CGATEWAY_AMONG_OTHERS,
    // A nice value of -10: nine tenths of a processor that both want.
    CGATEWAY_BEFORE_OTHERS,
    // Real time (SCHED_RR) of the lowest priority: the processor whenever it wants it.
    CGATEWAY_FIRST,
};

// Sets how the calling thread stands. False where neither the superuser nor RLIMIT_NICE or RLIMIT_RTPRIO allows it, or
// where the operator has chosen another policy than the usual one: that stays. But for CGATEWAY_FIRST, the thread gets
// short turns in any case, so that it comes to its next one soon when it wakes (sched_setattr(2), `sched_runtime`;
// Linux 6.12, older kernels take no notice).
bool cgateway_take_precedence(enum cgateway_precedence precedence);

// Gives pages of the heap that hold nothing back to the kernel (malloc_trim(3)), which the allocator does by itself
// only at the end of each of its arenas.
void cgateway_trim_heap(void);

// Starts a thread; 0 or an error number.
int cgateway_start_thread(const char *name, void (*body)(void *), void *context, unsigned long *thread);
void cgateway_join_thread(unsigned long thread);
void cgateway_detach_thread(unsigned long thread);

// Pages of anonymous memory that are backed only when touched; NULL where the address space is exhausted.
void *cgateway_reserve(size_t bytes);
void cgateway_unreserve(void *base, size_t bytes);
// Gives the pages back to the kernel; they read as zero when next touched.
void cgateway_discard(void *base, size_t bytes);

void cgateway_close(int descriptor);
void cgateway_shutdown_writing(int descriptor);
void cgateway_signal(int eventfd);
void cgateway_drain_signal(int eventfd);
