/* Clients that ask at a fixed rate whether or not they are answered. A request is due at its time; where no connection
 * is free it waits, and its latency counts from when it was due, so that a proxy that stalls cannot hide what the stall
 * did to those who would have asked meanwhile (coordinated omission).
 *
 * openloop PORT PATH RATE SECONDS CONNECTIONS
 * prints a line of JSON: how many were good (200), refused (429, 503) and bad, and the latencies of the first two. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "program.h"

enum { BUFFER = 65536, MAXIMUM_CONNECTIONS = 16384, GRACE_SECONDS = 5 };

struct connection {
    int descriptor;
    int64_t due;        /* of the request under way */
    int status;         /* of the answer, once its head is whole */
    int64_t left;       /* octets of its body still to come */
    size_t held;        /* octets of its head so far */
    char head[1024];
    int closes;
};

/* Latencies in microseconds. */
struct series {
    int64_t *values;
    size_t count;
};

static struct sockaddr_in address;
static char request[512];
static size_t request_length;
static struct connection *connections;
static int *idle, idle_count, set, reopened;
static struct series good, refused;
static long bad;

static void open_connection(int place) {
    struct connection *connection = &connections[place];
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)place};
    if (epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) != 0) die("epoll_ctl");
    memset(connection, 0, sizeof *connection);
    connection->descriptor = descriptor;
    connection->due = -1;
}

static void reopen(int place) {
    close(connections[place].descriptor);
    open_connection(place);
    idle[idle_count++] = place;
    reopened++;
}

static void ask(int place, int64_t due) {
    struct connection *connection = &connections[place];
    connection->due = due;
    connection->status = 0;
    connection->held = 0;
    if (send(connection->descriptor, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) {
        bad++;
        reopen(place);
    }
}

static void answered(int place) {
    struct connection *connection = &connections[place];
    int64_t latency = now() - connection->due;
    struct series *series = connection->status == 200 ? &good : &refused;
    if (connection->status == 200 || connection->status == 429 || connection->status == 503) {
        series->values[series->count++] = latency;
    } else {
        bad++;
    }
    connection->due = -1;
    if (connection->closes) {
        reopen(place);
    } else {
        idle[idle_count++] = place;
    }
}

/* Whether the head is whole; then what of the octets is body has been counted. */
static int read_head(struct connection *connection, const char *octets, ssize_t count) {
    size_t room = sizeof connection->head - 1 - connection->held;
    size_t taken = (size_t)count < room ? (size_t)count : room;
    memcpy(connection->head + connection->held, octets, taken);
    size_t before = connection->held;
    connection->held += taken;
    connection->head[connection->held] = 0;
    char *end = strstr(connection->head, "\r\n\r\n");
    if (!end) return connection->held == sizeof connection->head - 1 ? -1 : 0;
    *end = 0;
    char *length = strcasestr(connection->head, "content-length:");
    connection->status = atoi(connection->head + 9);
    connection->closes = strcasestr(connection->head, "connection: close") != NULL;
    ssize_t of_head = end - connection->head + 4 - (ssize_t)before;
    connection->left = (length ? atoll(length + 15) : 0) - (count - of_head);
    return 1;
}

static void receive(int place) {
    static char octets[BUFFER];
    struct connection *connection = &connections[place];
    ssize_t count = recv(connection->descriptor, octets, sizeof octets, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (connection->due < 0) {
        /* An idle connection was closed: it is among the idle ones already, and is made anew in its place. */
        close(connection->descriptor);
        open_connection(place);
        reopened++;
        return;
    }
    if (count <= 0) {
        bad++;
        reopen(place);
        return;
    }
    if (connection->status == 0) {
        int state = read_head(connection, octets, count);
        if (state < 0) {
            bad++;
            reopen(place);
            return;
        }
        if (state == 0) return;
    } else {
        connection->left -= count;
    }
    if (connection->left <= 0) answered(place);
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void print(const char *name, struct series *series) {
    qsort(series->values, series->count, sizeof *series->values, ascending);
    printf("\"%s\": {\"count\": %zu", name, series->count);
    static const double parts[] = {0.5, 0.99, 0.999};
    static const char *const names[] = {"p50", "p99", "p999"};
    for (int i = 0; i < 3 && series->count > 0; i++) {
        size_t place = (size_t)(parts[i] * (double)series->count);
        if (place >= series->count) place = series->count - 1;
        printf(", \"%s\": %lld", names[i], (long long)series->values[place]);
    }
    printf("}");
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "openloop PORT PATH RATE SECONDS CONNECTIONS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    double rate = atof(arguments[3]), seconds = atof(arguments[4]);
    int places = atoi(arguments[5]);
    if (rate <= 0 || seconds <= 0 || places < 1 || places > MAXIMUM_CONNECTIONS) {
        fprintf(stderr, "openloop: a number is out of range\n");
        return 2;
    }
    request_length = (size_t)snprintf(
        request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", arguments[2]);
    size_t total = (size_t)(rate * seconds);
    good.values = calloc(total + 1, sizeof(int64_t));
    refused.values = calloc(total + 1, sizeof(int64_t));
    connections = calloc((size_t)places, sizeof *connections);
    idle = calloc((size_t)places, sizeof *idle);
    set = epoll_create1(0);
    if (!good.values || !refused.values || !connections || !idle || set < 0) die("memory");
    for (int place = 0; place < places; place++) {
        open_connection(place);
        idle[idle_count++] = place;
    }
    int64_t start = now(), end = start + (int64_t)(seconds * 1e6) + GRACE_SECONDS * 1000000;
    size_t sent = 0;
    struct epoll_event events[512];
    while (now() < end) {
        int64_t due = 0;
        while (sent < total && idle_count > 0) {
            due = start + (int64_t)((double)sent * 1e6 / rate);
            if (due > now()) break;
            ask(idle[--idle_count], due);
            sent++;
        }
        if (sent == total && idle_count == places) break;
        int64_t wait = sent < total && idle_count > 0 ? due - now() : 100000;
        if (wait < 0) wait = 0;
        struct pollfd poll = {.fd = set, .events = POLLIN};
        struct timespec timeout = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        if (ppoll(&poll, 1, &timeout, NULL) <= 0) continue;
        int ready = epoll_wait(set, events, 512, 0);
        for (int i = 0; i < ready; i++) receive((int)events[i].data.u32);
    }
    double elapsed = (double)(now() - start) / 1e6;
    printf("{\"asked\": %zu, \"due\": %zu, \"elapsed\": %.3f, ", sent, total, elapsed);
    print("good", &good);
    printf(", ");
    print("refused", &refused);
    printf(", \"bad\": %ld, \"unanswered\": %d, \"reopened\": %d}\n", bad, places - idle_count, reopened);
    return 0;
}
