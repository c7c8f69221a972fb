/* An upstream server that costs as little as it can: one thread, epoll, keep-alive, and one prepared response for every
 * request head. It reads no request bodies, which the benchmark does not send. Prints the port that it was given.
 *
 * backend [BODY [DELAY]]: octets of the body (1024), and microseconds from a request to its response (0). */
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

enum { MAXIMUM_CONNECTIONS = 32768, BUFFER = 65536, LATE = 65536 };

static char *response;
static size_t response_length;
/* Octets of responses that each connection has not taken. */
static size_t unsent[MAXIMUM_CONNECTIONS];
static int generation[MAXIMUM_CONNECTIONS];
/* Responses that are due later, all after the same delay: first in, first out. */
static struct late {
    int connection, generation;
    int64_t due;
} late[LATE];
static unsigned late_first, late_end;
static int64_t delay;
/* How many octets of the CRLF CRLF that ends a head each connection has seen. */
static unsigned char matched[MAXIMUM_CONNECTIONS];

static void prepare_response(size_t body) {
    response = malloc(body + 512);
    if (!response) die("malloc");
    int head = snprintf(response, 512,
                        "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                        "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                        body);
    memset(response + head, 'x', body);
    response_length = (size_t)head + body;
}

/* The number of heads that end in the octets. */
static int count_heads(int connection, const char *octets, ssize_t count) {
    static const char end[] = "\r\n\r\n";
    int heads = 0;
    unsigned char seen = matched[connection];
    for (ssize_t i = 0; i < count; i++) {
        if (octets[i] == end[seen]) {
            if (++seen == 4) {
                heads++;
                seen = 0;
            }
        } else {
            seen = octets[i] == '\r';
        }
    }
    matched[connection] = seen;
    return heads;
}

/* Sends what the connection has not taken; what it does not take now goes when it is writable (edge-triggered). */
static int flush(int connection) {
    while (unsent[connection] > 0) {
        /* The rest of the response that is under way, or a whole one. */
        size_t rest = unsent[connection] % response_length;
        if (rest == 0) rest = response_length;
        ssize_t sent = send(connection, response + response_length - rest, rest, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        unsent[connection] -= (size_t)sent;
        if ((size_t)sent < rest) return 0;
    }
    return 0;
}

static int answer(int connection) {
    if (delay > 0) {
        if (late_end - late_first == LATE) return -1;
        late[late_end++ % LATE] = (struct late){connection, generation[connection], now() + delay};
        return 0;
    }
    unsent[connection] += response_length;
    return flush(connection);
}

static void end(int connection) {
    generation[connection]++;
    close(connection);
}

/* Sends the responses whose time has come; the milliseconds to the next, -1 where there is none. */
static int send_late(void) {
    while (late_first != late_end) {
        struct late *next = &late[late_first % LATE];
        int64_t wait = next->due - now();
        if (wait > 0) return (int)((wait + 999) / 1000);
        late_first++;
        if (generation[next->connection] != next->generation) continue;
        unsent[next->connection] += response_length;
        if (flush(next->connection) != 0) end(next->connection);
    }
    return -1;
}

static int serve(int connection) {
    static char octets[BUFFER];
    for (;;) {
        ssize_t count = recv(connection, octets, sizeof octets, 0);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return -1;
        if (count < 0) return flush(connection);
        for (int heads = count_heads(connection, octets, count); heads > 0; heads--) {
            if (answer(connection) != 0) return -1;
        }
        if (count < (ssize_t)sizeof octets) return flush(connection);
    }
}

static int listen_on_free_port(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(listener, 1024) != 0) die("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) die("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count_of_arguments, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    prepare_response(count_of_arguments > 1 ? (size_t)atoll(arguments[1]) : 1024);
    if (count_of_arguments > 2) delay = atoll(arguments[2]);
    int listener = listen_on_free_port();
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    struct epoll_event ready[256];
    for (;;) {
        int count = epoll_wait(set, ready, 256, send_late());
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int connection = ready[i].data.fd;
            if (connection != listener) {
                int gone = serve(connection) != 0;
                /* Its end may have come with the last octets, and is told once. */
                if (!gone && (ready[i].events & EPOLLRDHUP)) gone = serve(connection) != 0;
                if (gone) end(connection);
                continue;
            }
            while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                int on = 1;
                setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event.data.fd = connection;
                event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
                if (connection >= MAXIMUM_CONNECTIONS || epoll_ctl(set, EPOLL_CTL_ADD, connection, &event) != 0) {
                    close(connection);
                    continue;
                }
                matched[connection] = 0;
                unsent[connection] = 0;
            }
        }
    }
}
