/* Ends the process at its nth write below a directory, as a power switch would: preloaded into the platform by
 * KillPointTests, which then looks at what is left.
 *
 * KILLPOINTS_DIRECTORY  only files below it count
 * KILLPOINTS_AT         which one, from 1; every third is cut in half where it is a write, every third is carried out
 * KILLPOINTS_LOG        one line is appended there first: which call on which file it was
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long counted;
static const char *directory;
static long at;

__attribute__((constructor)) static void prepare(void) {
    const char *number = getenv("KILLPOINTS_AT");
    directory = getenv("KILLPOINTS_DIRECTORY");
    at = number ? atol(number) : 0;
}

static int is_below(const char *path) { return directory && strncmp(path, directory, strlen(directory)) == 0; }

static int path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static void note(const char *call, const char *path) {
    const char *log = getenv("KILLPOINTS_LOG");
    int file = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file < 0) return;
    dprintf(file, "%s %s\n", call, path + strlen(directory));
    close(file);
}

/* Whether this is the one. */
static int comes(const char *call, const char *path) {
    if (at <= 0 || atomic_fetch_add(&counted, 1) + 1 != at) return 0;
    note(call, path);
    return 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ENDING(call, result_type, number_of_bytes, whole, half)                                                        \
    char path[4096];                                                                                                   \
    if (path_of(descriptor, path, sizeof path) && comes(call, path)) {                                                 \
        if (at % 3 == 1) whole;                                                                                        \
        if (at % 3 == 2 && number_of_bytes > 1) half;                                                                  \
        die();                                                                                                         \
    }

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    ENDING("pwrite", ssize_t, count, NEXT(pwrite)(descriptor, bytes, count, offset),
           NEXT(pwrite)(descriptor, bytes, count / 2, offset))
    return NEXT(pwrite)(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    ENDING("pwrite", ssize_t, count, NEXT(pwrite64)(descriptor, bytes, count, offset),
           NEXT(pwrite64)(descriptor, bytes, count / 2, offset))
    return NEXT(pwrite64)(descriptor, bytes, count, offset);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    ENDING("write", ssize_t, count, NEXT(write)(descriptor, bytes, count), NEXT(write)(descriptor, bytes, count / 2))
    return NEXT(write)(descriptor, bytes, count);
}

int fsync(int descriptor) {
    ENDING("sync", int, 0, NEXT(fsync)(descriptor), (void)0)
    return NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor) {
    ENDING("sync", int, 0, NEXT(fdatasync)(descriptor), (void)0)
    return NEXT(fdatasync)(descriptor);
}

int ftruncate(int descriptor, off_t length) {
    ENDING("truncate", int, 0, NEXT(ftruncate)(descriptor, length), (void)0)
    return NEXT(ftruncate)(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) {
    ENDING("truncate", int, 0, NEXT(ftruncate64)(descriptor, length), (void)0)
    return NEXT(ftruncate64)(descriptor, length);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    ENDING("allocate", int, 0, NEXT(fallocate)(descriptor, mode, offset, length), (void)0)
    return NEXT(fallocate)(descriptor, mode, offset, length);
}

int posix_fallocate(int descriptor, off_t offset, off_t length) {
    ENDING("allocate", int, 0, NEXT(posix_fallocate)(descriptor, offset, length), (void)0)
    return NEXT(posix_fallocate)(descriptor, offset, length);
}

int rename(const char *from, const char *to) {
    if (is_below(to) && comes("rename", to)) {
        if (at % 3 == 1) NEXT(rename)(from, to);
        die();
    }
    return NEXT(rename)(from, to);
}

int unlink(const char *path) {
    if (is_below(path) && comes("unlink", path)) {
        if (at % 3 == 1) NEXT(unlink)(path);
        die();
    }
    return NEXT(unlink)(path);
}

/* Only the spool maps its files to write to them; the mapping's file is not looked up. */
int msync(void *address, size_t length, int flags) {
    char path[4096];
    if (directory && (size_t)snprintf(path, sizeof path, "%s/spool/segment", directory) < sizeof path
        && comes("sync", path)) {
        if (at % 3 == 1) NEXT(msync)(address, length, flags);
        die();
    }
    return NEXT(msync)(address, length, flags);
}
