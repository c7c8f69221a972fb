// What moving bytes between two sockets costs the one in the middle: by a buffer (recv, send), or by a pipe (splice).
// Prints processor time of the middle's thread for each GiB, by size of the buffer and of the pipe, interleaved.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t total;
static size_t piece;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void make_pair(int ends[2]) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (void *)&address, length) < 0 || listen(listener, 1) < 0) die("listen");
    getsockname(listener, (void *)&address, &length);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (void *)&address, length) < 0) die("connect");
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
    int on = 1;
    for (int i = 0; i < 2; i++) setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void *source(void *context) {
    int socket = *(int *)context;
    char *bytes = calloc(1, piece);
    for (uint64_t sent = 0; sent < total;) {
        ssize_t n = send(socket, bytes, piece, MSG_NOSIGNAL);
        if (n < 0) die("send");
        sent += (uint64_t)n;
    }
    shutdown(socket, SHUT_WR);
    free(bytes);
    return NULL;
}

static void *sink(void *context) {
    int socket = *(int *)context;
    char *bytes = malloc(1 << 18);
    while (recv(socket, bytes, 1 << 18, 0) > 0) {}
    free(bytes);
    return NULL;
}

static void wait_for(int socket, short events) {
    struct pollfd wanted = {.fd = socket, .events = events};
    poll(&wanted, 1, -1);
}

static void copy(int in, int out, size_t size) {
    char *bytes = malloc(size);
    for (;;) {
        ssize_t n = recv(in, bytes, size, 0);
        if (n == 0) break;
        if (n < 0) {
            wait_for(in, POLLIN);
            continue;
        }
        for (ssize_t sent = 0; sent < n;) {
            ssize_t m = send(out, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            if (m < 0) wait_for(out, POLLOUT);
            else sent += m;
        }
    }
    free(bytes);
}

static void splice_all(int in, int out, size_t size) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) < 0) die("pipe");
    int got = fcntl(ends[1], F_SETPIPE_SZ, (int)size);
    if (got > 0) size = (size_t)got;
    for (;;) {
        ssize_t n = splice(in, NULL, ends[1], NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n == 0) break;
        if (n < 0) {
            wait_for(in, POLLIN);
            continue;
        }
        while (n > 0) {
            ssize_t m = splice(ends[0], NULL, out, NULL, (size_t)n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (m < 0) wait_for(out, POLLOUT);
            else n -= m;
        }
    }
    close(ends[0]);
    close(ends[1]);
}

static double seconds(const struct rusage *usage) {
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static double run(int by_pipe, size_t size) {
    int front[2], back[2];
    make_pair(front);
    make_pair(back);
    fcntl(front[1], F_SETFL, O_NONBLOCK);
    fcntl(back[0], F_SETFL, O_NONBLOCK);
    pthread_t sender, receiver;
    pthread_create(&sender, NULL, source, &front[0]);
    pthread_create(&receiver, NULL, sink, &back[1]);
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    if (by_pipe) splice_all(front[1], back[0], size);
    else copy(front[1], back[0], size);
    getrusage(RUSAGE_THREAD, &after);
    shutdown(back[0], SHUT_WR);
    pthread_join(sender, NULL);
    pthread_join(receiver, NULL);
    for (int i = 0; i < 2; i++) close(front[i]), close(back[i]);
    return (seconds(&after) - seconds(&before)) / ((double)total / (1 << 30));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 5;
    total = (uint64_t)(argc > 2 ? atoll(argv[2]) : 1024) << 20;
    piece = argc > 3 ? (size_t)atoll(argv[3]) : 1 << 17;
    struct { const char *name; int by_pipe; size_t size; double figures[64]; } ways[] = {
        {"copy, 32 KiB", 0, 32 << 10, {0}}, {"copy, 128 KiB", 0, 128 << 10, {0}},
        {"splice, 64 KiB", 1, 64 << 10, {0}}, {"splice, 256 KiB", 1, 256 << 10, {0}},
        {"splice, 1 MiB", 1, 1 << 20, {0}},
    };
    size_t count = sizeof ways / sizeof *ways;
    if (rounds > 64) rounds = 64;
    for (int round = 0; round < rounds; round++)
        for (size_t way = 0; way < count; way++) ways[way].figures[round] = run(ways[way].by_pipe, ways[way].size);
    for (size_t way = 0; way < count; way++) {
        qsort(ways[way].figures, (size_t)rounds, sizeof(double), by_value);
        double *all = ways[way].figures;
        printf(
            "%-16s %.3f s/GiB (%.3f to %.3f), %.2f of copying by 32 KiB\n", ways[way].name, all[rounds / 2], all[0],
            all[rounds - 1], all[rounds / 2] / ways[0].figures[rounds / 2]);
    }
}
