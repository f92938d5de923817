/* Ends a process with SIGKILL at a chosen storage call, for tests/faults.py. It is loaded before the C library
 * (LD_PRELOAD), so that the program under test is the one that users run, with nothing for tests in it.
 *
 * Every call that changes a file or puts it on the disk is counted, for files whose path contains DB3_DIE_UNDER. At
 * number DB3_DIE_AT the process ends: before the call, after it, or, of a write, after half of its bytes
 * (DB3_DIE_HOW = before, after, torn). DB3_DIE_LOG names a file that is told which call it was.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long count;

static int named(const char *path) {
    const char *under = getenv("DB3_DIE_UNDER");
    return under && strstr(path, under) != NULL;
}

static int of_file(int fd, char *path, size_t bytes) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, bytes - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return named(path);
}

static void die(long number, const char *call, const char *path) {
    const char *log = getenv("DB3_DIE_LOG");
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd >= 0) {
        char line[512];
        int length = snprintf(line, sizeof line, "%ld %s %s %s\n", number, call, getenv("DB3_DIE_HOW"), path);
        syscall(SYS_write, fd, line, (size_t)length);
    }
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether call `number` is the one; `how` says where in it. */
static int is_it(long number, char how) {
    const char *at = getenv("DB3_DIE_AT"), *wanted = getenv("DB3_DIE_HOW");
    return at && wanted && wanted[0] == how && number == atol(at);
}

#define AROUND(call, path, run)                      \
    long number = atomic_fetch_add(&count, 1) + 1; \
    if (is_it(number, 'b') || is_it(number, 't')) die(number, call, path); \
    long done = (long)(run);                         \
    if (is_it(number, 'a')) die(number, call, path); \
    return done

/* The function that this one stands before. */
#define NEXT(name) __typeof__(name) *next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t length) {
    NEXT(write);
    char path[4096];
    if (!of_file(fd, path, sizeof path)) return next(fd, bytes, length);
    long number = atomic_fetch_add(&count, 1) + 1;
    if (is_it(number, 'b')) die(number, "write", path);
    if (is_it(number, 't')) {
        next(fd, bytes, length / 2);
        die(number, "write", path);
    }
    ssize_t done = next(fd, bytes, length);
    if (is_it(number, 'a')) die(number, "write", path);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    NEXT(pwrite64);
    char path[4096];
    if (!of_file(fd, path, sizeof path)) return next(fd, bytes, length, at);
    AROUND("pwrite", path, next(fd, bytes, length, at));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

int fsync(int fd) {
    NEXT(fsync);
    char path[4096];
    if (!of_file(fd, path, sizeof path)) return next(fd);
    AROUND("fsync", path, next(fd));
}

int fdatasync(int fd) {
    NEXT(fdatasync);
    char path[4096];
    if (!of_file(fd, path, sizeof path)) return next(fd);
    AROUND("fdatasync", path, next(fd));
}

int ftruncate64(int fd, off64_t length) {
    NEXT(ftruncate64);
    char path[4096];
    if (!of_file(fd, path, sizeof path)) return next(fd, length);
    AROUND("ftruncate", path, next(fd, length));
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int rename(const char *from, const char *to) {
    NEXT(rename);
    if (!named(to)) return next(from, to);
    AROUND("rename", to, next(from, to));
}

int unlink(const char *path) {
    NEXT(unlink);
    if (!named(path)) return next(path);
    AROUND("unlink", path, next(path));
}
