/* Ends a process with SIGKILL at a chosen storage call, for tests/faults.py. It is loaded before the C library
 * (LD_PRELOAD), so that the program under test is the one that users run, with nothing for tests in it.
 *
 * Every call that makes, changes, moves or removes a file or a folder, or puts it on the disk, is counted, for paths that
 * contain DB3_DIE_UNDER. At number DB3_DIE_AT the process ends: before the call, after it, or, of a write, after half of
 * its bytes (DB3_DIE_HOW = before, after, torn). DB3_DIE_ON counts only the calls of one step: thread, call and kind of
 * file, as "snapshot write #.log" (the threads of the runtime are "main"). DB3_DIE_LOG names a file that is told which call
 * it was; without DB3_DIE_AT it is told every call, a line each: number, thread, call, kind of file, how.
 *
 * Not seen: what a program does through a mapping, or by the kernel's numbers without the C library.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512

static atomic_long count;

static int named(const char *path) {
    const char *under = getenv("DB3_DIE_UNDER");
    return under && strstr(path, under) != NULL;
}

static int of_file(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return named(path);
}

/* The whole path of a name in a folder that is open. */
static int of_name(int folder, const char *name, char *path) {
    path[0] = 0;
    if (name[0] != '/' && folder == AT_FDCWD && !getcwd(path, PATH_MAX)) path[0] = 0;
    if (name[0] != '/' && folder != AT_FDCWD) of_file(folder, path);
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "%s%s", length ? "/" : "", name);
    return named(path);
}

/* A name with each of its numbers one sign, and no more of a long one. */
static void without_numbers(const char *name, char *kind, size_t bytes) {
    size_t at = 0;
    for (; *name && at + 1 < bytes; name++) {
        int number = isdigit((unsigned char)*name);
        if (!number) kind[at++] = *name == ' ' ? '_' : *name;
        else if (at == 0 || kind[at - 1] != '#') kind[at++] = '#';
    }
    kind[at] = 0;
}

static void step_of(const char *call, const char *path, char *step, size_t bytes) {
    char name[17] = "", thread[17], kind[25];
    const char *file = strrchr(path, '/');
    prctl(PR_GET_NAME, name);
    /* Which of the threads that are there for everything does it is chance. */
    if (strncmp(name, "tokio", 5) == 0 || strncmp(name, program_invocation_short_name, 15) == 0) strcpy(name, "main");
    without_numbers(name, thread, sizeof thread);
    without_numbers(file ? file + 1 : path, kind, sizeof kind);
    snprintf(step, bytes, "%s %s %s", thread, call, kind);
}

static void tell(long number, const char *step, const char *how) {
    const char *log = getenv("DB3_DIE_LOG");
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0) return;
    char line[256];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, step, how);
    syscall(SYS_write, fd, line, (size_t)length);
    syscall(SYS_close, fd);
}

/* Where in this call the process ends: 'b', 't', 'a', or nowhere. */
static char counted(const char *call, const char *path, char *step, size_t bytes, long *number) {
    const char *at = getenv("DB3_DIE_AT"), *on = getenv("DB3_DIE_ON"), *how = getenv("DB3_DIE_HOW");
    step_of(call, path, step, bytes);
    if (on && strcmp(on, step) != 0) return 0;
    *number = atomic_fetch_add(&count, 1) + 1;
    if (!at) tell(*number, step, "passed");
    return at && how && *number == atol(at) ? how[0] : 0;
}

static void die(long number, const char *step) {
    tell(number, step, getenv("DB3_DIE_HOW"));
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Around a call: `half` is what of it is done where it is torn, `run` all of it. */
#define AROUND(call, path, half, run)                             \
    char step[96];                                                \
    long number = 0;                                              \
    char here = counted(call, path, step, sizeof step, &number);  \
    if (here == 't') (void)!(half);                               \
    if (here == 'b' || here == 't') die(number, step);            \
    long done = (long)(run);                                      \
    if (here == 'a') die(number, step);                           \
    return done

/* The function that this one stands before. */
#define NEXT(name) __typeof__(name) *next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Opening counts where it may make a file, or empty one. */
#define OPENS(name, folder, ...)                                                        \
    NEXT(name);                                                                         \
    va_list rest;                                                                       \
    va_start(rest, flags);                                                              \
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;                   \
    va_end(rest);                                                                       \
    char whole[PATH_MAX];                                                               \
    if (!(flags & (O_CREAT | O_TRUNC)) || !of_name(folder, path, whole)) return next(__VA_ARGS__, flags, mode); \
    AROUND("open", whole, 0, next(__VA_ARGS__, flags, mode))

int open(const char *path, int flags, ...) { OPENS(open, AT_FDCWD, path); }
int open64(const char *path, int flags, ...) { OPENS(open64, AT_FDCWD, path); }
int openat(int folder, const char *path, int flags, ...) { OPENS(openat, folder, folder, path); }
int openat64(int folder, const char *path, int flags, ...) { OPENS(openat64, folder, folder, path); }

/* A call on an open file. */
#define ON_FILE(name, told, half, ...)                   \
    NEXT(name);                                          \
    char path[PATH_MAX];                                 \
    if (!of_file(fd, path)) return next(__VA_ARGS__);    \
    AROUND(told, path, half, next(__VA_ARGS__))

ssize_t write(int fd, const void *bytes, size_t length) {
    ON_FILE(write, "write", next(fd, bytes, length / 2), fd, bytes, length);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    /* What stands in one sector is there or not (chain/src/store/note.rs counts on it). */
    size_t half = at / SECTOR == (at + (off64_t)length - 1) / SECTOR ? 0 : length / 2;
    ON_FILE(pwrite64, "pwrite", half && next(fd, bytes, half, at), fd, bytes, length, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *parts, int number_of) {
    ON_FILE(writev, "writev", next(fd, parts, number_of / 2), fd, parts, number_of);
}
ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *at, size_t length, unsigned flags) {
    ON_FILE(copy_file_range, "copy", next(from, from_at, fd, at, length / 2, flags), from, from_at, fd, at, length, flags);
}
int fsync(int fd) { ON_FILE(fsync, "fsync", 0, fd); }
int fdatasync(int fd) { ON_FILE(fdatasync, "fdatasync", 0, fd); }
int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    ON_FILE(sync_file_range, "sync_range", 0, fd, from, length, flags);
}
int fallocate(int fd, int mode, off_t from, off_t length) { ON_FILE(fallocate, "fallocate", 0, fd, mode, from, length); }
int fallocate64(int fd, int mode, off64_t from, off64_t length) {
    ON_FILE(fallocate64, "fallocate", 0, fd, mode, from, length);
}
int ftruncate(int fd, off_t length) { ON_FILE(ftruncate, "ftruncate", 0, fd, length); }
int ftruncate64(int fd, off64_t length) { ON_FILE(ftruncate64, "ftruncate", 0, fd, length); }

/* A call on a name. */
#define ON_NAME(name, told, folder, path, ...)                        \
    NEXT(name);                                                       \
    char whole[PATH_MAX];                                             \
    if (!of_name(folder, path, whole)) return next(__VA_ARGS__);      \
    AROUND(told, whole, 0, next(__VA_ARGS__))

int mkdir(const char *path, mode_t mode) { ON_NAME(mkdir, "mkdir", AT_FDCWD, path, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { ON_NAME(mkdirat, "mkdir", folder, path, folder, path, mode); }
int rename(const char *from, const char *to) { ON_NAME(rename, "rename", AT_FDCWD, to, from, to); }
int renameat(int from_in, const char *from, int in, const char *to) {
    ON_NAME(renameat, "rename", in, to, from_in, from, in, to);
}
int renameat2(int from_in, const char *from, int in, const char *to, unsigned flags) {
    ON_NAME(renameat2, "rename", in, to, from_in, from, in, to, flags);
}
int link(const char *from, const char *to) { ON_NAME(link, "link", AT_FDCWD, to, from, to); }
int unlink(const char *path) { ON_NAME(unlink, "unlink", AT_FDCWD, path, path); }
int unlinkat(int folder, const char *path, int flags) { ON_NAME(unlinkat, "unlink", folder, path, folder, path, flags); }
int rmdir(const char *path) { ON_NAME(rmdir, "unlink", AT_FDCWD, path, path); }
