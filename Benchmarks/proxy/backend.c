/* An upstream server that costs as little as it can: one thread, epoll, keep-alive, and one prepared response with a
 * body of 1 KiB for every request head. It reads no request bodies, which the benchmark does not send. Prints the port
 * that it was given. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 1024, MAXIMUM_CONNECTIONS = 4096, BUFFER = 65536 };

static char response[BODY + 512];
static size_t response_length;
/* How many octets of the CRLF CRLF that ends a head each connection has seen. */
static unsigned char matched[MAXIMUM_CONNECTIONS];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void prepare_response(void) {
    int head = snprintf(response, sizeof response,
                        "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                        "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
                        BODY);
    memset(response + head, 'x', BODY);
    response_length = (size_t)head + BODY;
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

/* Responses are small and the proxy reads them at once, so a socket that does not take one whole is given up. */
static int serve(int connection) {
    static char octets[BUFFER];
    ssize_t count = recv(connection, octets, sizeof octets, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return -1;
    if (count < 0) return 0;
    for (int heads = count_heads(connection, octets, count); heads > 0; heads--) {
        if (send(connection, response, response_length, MSG_NOSIGNAL) != (ssize_t)response_length) return -1;
    }
    return 0;
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

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    prepare_response();
    int listener = listen_on_free_port();
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    struct epoll_event ready[256];
    for (;;) {
        int count = epoll_wait(set, ready, 256, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            int connection = ready[i].data.fd;
            if (connection != listener) {
                if (serve(connection) != 0) close(connection);
                continue;
            }
            while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                int on = 1;
                setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event.data.fd = connection;
                if (connection >= MAXIMUM_CONNECTIONS || epoll_ctl(set, EPOLL_CTL_ADD, connection, &event) != 0) {
                    close(connection);
                    continue;
                }
                matched[connection] = 0;
            }
        }
    }
}
