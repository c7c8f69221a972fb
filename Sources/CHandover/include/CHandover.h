// What passes from one process of the platform to the next: a channel that carries descriptors with its messages, the
// program that is started with the channel's other end, and word to systemd of who the main process is. Every function
// that can fail gives back -errno.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Descriptors that one message carries at most: the kernel's limit (SCM_MAX_FD of unix(7)) is a little more.
enum { HANDOVER_DESCRIPTORS = 240 };

// The descriptor by which a started program finds its end of the channel.
enum { HANDOVER_DESCRIPTOR = 3 };

// Two ends of a channel that keeps messages apart. 0 or -errno.
int handover_pair(int ends[2]);

// Sends one message with descriptors; it waits where the channel is full. 0 or -errno.
int handover_send(int channel, const void *bytes, size_t count, const int *descriptors, int descriptor_count);

// The next message. The number of bytes, 0 where the other side is gone, -ETIMEDOUT, -EMSGSIZE where it or its
// descriptors had no room, or -errno. The descriptors are closed on execve(2).
ssize_t handover_receive(
    int channel, void *bytes, size_t capacity, int descriptors[HANDOVER_DESCRIPTORS], int *descriptor_count,
    int timeout_milliseconds);

// Starts the program with the standard streams and the channel's end, and nothing else that is open here; signals are
// as a shell leaves them. The process's number, or -errno.
pid_t handover_spawn(const char *program, char *const arguments[], char *const environment[], int channel);

// Sends a text to systemd's socket (sd_notify(3)); an address that begins with @ is an abstract one. 0 or -errno.
int handover_notify(const char *address, const char *text);

// Whether the process has ended by now: 1, 0, or -errno.
int handover_has_ended(pid_t process);
