/* The floor: one thread that passes octets between a client and a backend of its own and understands none of them.
 * What it costs is the kernel's share of any proxy. Arguments are the ports of the backends; prints the port that it
 * was given. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "program.h"

enum { MAXIMUM_CONNECTIONS = 32768, BUFFER = 65536 };

/* The other side of each connection, or -1. */
static int peers[MAXIMUM_CONNECTIONS];
/* Octets that each connection has not taken yet; its peer is not read meanwhile. */
static struct rest {
    char *octets;
    size_t start, end;
} rests[MAXIMUM_CONNECTIONS];
static int set;

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int connection, int peer) {
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};
    if (connection >= MAXIMUM_CONNECTIONS) die("too many connections");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peers[connection] = peer;
    if (epoll_ctl(set, EPOLL_CTL_ADD, connection, &event) != 0) die("epoll_ctl");
}

static void interest(int connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = connection};
    if (epoll_ctl(set, EPOLL_CTL_MOD, connection, &event) != 0) die("epoll_ctl");
}

static void end(int connection) {
    int peer = peers[connection];
    peers[connection] = -1;
    free(rests[connection].octets);
    rests[connection] = (struct rest){0};
    close(connection);
    if (peer >= 0) {
        peers[peer] = -1;
        free(rests[peer].octets);
        rests[peer] = (struct rest){0};
        close(peer);
    }
}

/* How many of the octets the connection took; -1 after its end. */
static ssize_t offer(int connection, const char *octets, size_t count) {
    ssize_t sent = send(connection, octets, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EINTR) return 0;
    end(connection);
    return -1;
}

static void pass(int connection) {
    static char octets[BUFFER];
    int peer = peers[connection];
    if (peer < 0) return;
    ssize_t count = recv(connection, octets, sizeof octets, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        end(connection);
        return;
    }
    ssize_t sent = offer(peer, octets, (size_t)count);
    if (sent < 0 || sent == count) return;
    struct rest rest = {.octets = malloc((size_t)(count - sent)), .end = (size_t)(count - sent)};
    if (!rest.octets) die("malloc");
    memcpy(rest.octets, octets + sent, rest.end);
    rests[peer] = rest;
    interest(peer, EPOLLIN | EPOLLOUT);
    interest(connection, 0);
}

static void pass_rest(int connection) {
    struct rest *rest = &rests[connection];
    if (peers[connection] < 0 || !rest->octets) return;
    ssize_t sent = offer(connection, rest->octets + rest->start, rest->end - rest->start);
    if (sent < 0) return;
    rest->start += (size_t)sent;
    if (rest->start < rest->end) return;
    free(rest->octets);
    *rest = (struct rest){0};
    interest(connection, EPOLLIN);
    interest(peers[connection], EPOLLIN);
}

static void accept_one(int listener, int backend_port) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) return;
    int backend = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(backend_port);
    if (backend < 0 || connect(backend, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    watch(client, backend);
    watch(backend, client);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: shuttle backend-port...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(listener, 1024) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0) die("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    struct epoll_event ready[256];
    for (int next = 0;;) {
        int found = epoll_wait(set, ready, 256, -1);
        if (found < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < found; i++) {
            if (ready[i].data.fd == listener) {
                accept_one(listener, atoi(arguments[1 + next++ % (count - 1)]));
            } else {
                if (ready[i].events & EPOLLOUT) pass_rest(ready[i].data.fd);
                if (ready[i].events & ~(uint32_t)EPOLLOUT) pass(ready[i].data.fd);
            }
        }
    }
}
